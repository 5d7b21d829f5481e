"""
usage: outer-loop.py PORT TRANSPORT CA TOPIC CLIENT_ID: Paho with an event loop of the program's own, as asyncio clients have it: it reads when
the socket is readable, one packet each time. Publishes three retained messages, subscribes, publishes three more, and prints what comes.
"""
import select
import sys
import time

import paho.mqtt.client as mqtt

port, transport, ca, topic, client_id = sys.argv[1:6]
arrived = []
SECONDS_MAX = 30


def on_connect(client, *_):
    for number in range(3):
        client.publish(f"{topic}/{number}", "kept", 1, True)
    client.subscribe(f"{topic}/+", 2)


def on_subscribe(client, *_):
    for qos in (0, 1, 2):
        client.publish(f"{topic}/new", f"new{qos}", qos)


def on_message(_client, _data, message):
    arrived.append(message.payload.decode())


options = {"transport": transport, "client_id": client_id}
if hasattr(mqtt, "CallbackAPIVersion"):
    options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
client = mqtt.Client(**options)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
if transport == "websockets":
    client.ws_set_options(path="/mqtt")
client.tls_set(ca)
client.connect("127.0.0.1", int(port))
until = time.monotonic() + SECONDS_MAX
while len(arrived) < 6 and time.monotonic() < until:
    socket = client.socket()
    readable, writable, _ = select.select([socket], [socket] if client.want_write() else [], [], 1)
    if readable:
        client.loop_read()
    if writable:
        client.loop_write()
print(" ".join(sorted(arrived)))
