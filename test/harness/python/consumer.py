"""usage: consumer.py PORT FILTER QOS SLEEP_S CLIENT_ID: prints "subscribed", then each payload as a line."""
import sys
import time

from client import new_client

port, topic_filter, qos, sleep_s, client_id = sys.argv[1:6]


def on_connect(client, userdata, flags, reason_code, properties=None):
    client.subscribe(topic_filter, int(qos))


def on_subscribe(*_):
    print("subscribed")


def on_message(client, userdata, message):
    time.sleep(float(sleep_s))
    print(message.payload.decode())


client = new_client(client_id)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("127.0.0.1", int(port), 60)
client.loop_forever()
