"""A Paho client in either generation of its API: version 2 asks for the version of the callbacks, version 1 has one."""
import os

import paho.mqtt.client as mqtt


def new_client(client_id="", protocol=mqtt.MQTTv311):
    versions = getattr(mqtt, "CallbackAPIVersion", None)
    if versions is None:
        client = mqtt.Client(client_id=client_id, protocol=protocol)
    else:
        client = mqtt.Client(versions.VERSION1, client_id=client_id, protocol=protocol)
    if "MQTT_USER" in os.environ:
        client.username_pw_set(os.environ["MQTT_USER"], os.environ["MQTT_PASSWORD"])
    return client
