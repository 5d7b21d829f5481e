"""Sends a device one command after the other, each with the user property `key`, so that the queue keeps only the newest."""
import argparse
import json
import logging
import random
import sys
import time

import paho.mqtt.client as mqtt
from client import add_broker_options, connected_client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

COLORS = ["Green", "Red", "Yellow"]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--topic", default="commands/device1", help="where to publish")
parser.add_argument("--interval", type=float, default=0.5, help="seconds between two commands")
parser.add_argument("--count", type=int, default=0, help="how many commands; 0 goes on until stopped")
parser.add_argument("--key", default="set-color", help="what the commands replace each other by")
add_broker_options(parser)
options = parser.parse_args()
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")

# User properties came with MQTT 5. The device needs no more than MQTT 3.1.1.
client = connected_client(options, protocol=mqtt.MQTTv5)
client.loop_start()
properties = Properties(PacketTypes.PUBLISH)
properties.UserProperty = [("key", options.key)]
number = 0
while options.count == 0 or number < options.count:
    number += 1
    command = json.dumps({"color": random.choice(COLORS), "n": number})
    client.publish(options.topic, command, qos=1, properties=properties).wait_for_publish()
    logging.info("sent command: %s", command)
    time.sleep(options.interval)
client.disconnect()
client.loop_stop()
logging.info("producer finished")
