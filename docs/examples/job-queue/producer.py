"""Publishes jobs to a topic, one after the other, and ends when the broker has acknowledged them all."""
import argparse
import logging
import sys
import time

from client import add_broker_options, connected_client

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--topic", default="jobs", help="where to publish")
parser.add_argument("--interval", type=float, default=0.1, help="seconds between two jobs")
parser.add_argument("--count", type=int, default=500, help="how many jobs")
add_broker_options(parser)
options = parser.parse_args()
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")

client = connected_client(options)
client.loop_start()
jobs = []
for number in range(options.count):
    # With QoS 1 the acknowledgement means: the job is on the broker's disk.
    jobs.append(client.publish(options.topic, f"job {number}", qos=1))
    logging.info("sent job %d to %s", number, options.topic)
    time.sleep(options.interval)
for job in jobs:
    job.wait_for_publish()
client.disconnect()
client.loop_stop()
logging.info("producer finished")
