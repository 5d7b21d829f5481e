"""usage: commander.py PORT TOPIC KEY PAYLOAD...: an MQTT 5 producer; each payload carries the user property key=KEY."""
import sys

import paho.mqtt.client as mqtt
from client import new_client
from paho.mqtt import packettypes, properties

port, topic, key, *payloads = sys.argv[1:]
client = new_client(protocol=mqtt.MQTTv5)
client.connect("127.0.0.1", int(port), 60)
client.loop_start()
with_key = properties.Properties(packettypes.PacketTypes.PUBLISH)
with_key.UserProperty = [("key", key)]
for payload in payloads:
    client.publish(topic, payload, qos=1, properties=with_key).wait_for_publish()
client.disconnect()
client.loop_stop()
print("finished")
