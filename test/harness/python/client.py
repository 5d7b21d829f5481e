"""A Paho client in either generation of its API: version 2 asks for the version of the callbacks, version 1 has one."""
import paho.mqtt.client as mqtt


def new_client(client_id="", protocol=mqtt.MQTTv311):
    versions = getattr(mqtt, "CallbackAPIVersion", None)
    if versions is None:
        return mqtt.Client(client_id=client_id, protocol=protocol)
    return mqtt.Client(versions.VERSION1, client_id=client_id, protocol=protocol)
