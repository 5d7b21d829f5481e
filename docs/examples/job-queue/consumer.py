"""Works on the jobs of a queue, one at a time. Paho acknowledges a job when `on_message` returns."""
import argparse
import logging
import sys
import time

from client import add_broker_options, connected_client

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--name", default="consumer", help="what the log calls this consumer")
parser.add_argument("--topic", default="jobs", help="the topic filter of the queue")
parser.add_argument("--sleep", type=float, default=0, help="seconds that a job takes")
add_broker_options(parser)
options = parser.parse_args()
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")


def on_connect(client, userdata, flags, reason_code, properties=None):
    logging.info("%s connected: %s", options.name, reason_code)
    client.subscribe(f"$q/{options.topic}")


def on_subscribe(*_):
    logging.info("%s waits for jobs", options.name)


def on_message(client, userdata, message):
    job = message.payload.decode()
    logging.info("%s received: %s", options.name, job)
    time.sleep(options.sleep)
    logging.info("%s finished: %s", options.name, job)


callbacks = {"on_connect": on_connect, "on_subscribe": on_subscribe, "on_message": on_message}
connected_client(options, **callbacks).loop_forever()
