"""A device that does what the newest command says. What it missed while it was away and was replaced since, it never sees."""
import argparse
import json
import logging
import sys

from client import add_broker_options, connected_client

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--name", default="device1", help="what the log calls this device")
parser.add_argument("--topic", default="commands/device1", help="the topic filter of the queue")
add_broker_options(parser)
options = parser.parse_args()
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")


def on_connect(client, userdata, flags, reason_code, properties=None):
    logging.info("%s connected: %s", options.name, reason_code)
    client.subscribe(f"$q/{options.topic}")


def on_subscribe(*_):
    logging.info("%s waits for commands", options.name)


def on_message(client, userdata, message):
    command = json.loads(message.payload)
    logging.info("%s is %s now (command %d)", options.name, command["color"], command["n"])


callbacks = {"on_connect": on_connect, "on_subscribe": on_subscribe, "on_message": on_message}
connected_client(options, **callbacks).loop_forever()
