"""MQTT over TLS, alone or below WebSocket: subscribes, publishes at each QoS, and prints what comes back."""
import sys

import paho.mqtt.client as mqtt

port, transport, ca, topic = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
arrived = []


def on_connect(client, *_):
    client.subscribe(topic, 2)


def on_subscribe(client, *_):
    for qos in (0, 1, 2):
        client.publish(topic, str(qos), qos)


def on_message(client, _data, message):
    arrived.append(message.payload.decode())
    if len(arrived) == 3:
        client.disconnect()


options = {"transport": transport}
if hasattr(mqtt, "CallbackAPIVersion"):
    options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
client = mqtt.Client(**options)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
if transport == "websockets":
    client.ws_set_options(path="/mqtt")
client.tls_set(ca)
client.connect("127.0.0.1", port)
client.loop_forever()
print("".join(sorted(arrived)))
