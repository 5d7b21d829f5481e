"""A Paho client in either generation of Paho's API: since 2.0 one says which form of the callbacks one has written."""
import os
import signal

import paho.mqtt.client as mqtt


def connected_client(options, protocol=mqtt.MQTTv311, **callbacks):
    """Connects to the broker of the command line; the callbacks are set first. SIGTERM disconnects, which ends a loop."""
    versions = getattr(mqtt, "CallbackAPIVersion", None)
    client = mqtt.Client(versions.VERSION2, protocol=protocol) if versions else mqtt.Client(protocol=protocol)
    for name, callback in callbacks.items():
        setattr(client, name, callback)
    signal.signal(signal.SIGTERM, lambda *_: client.disconnect())
    client.connect(options.host, options.port, keepalive=60)
    return client


def add_broker_options(parser):
    parser.add_argument("--host", default=os.environ.get("BROKER_HOST", "localhost"), help="the broker's address")
    parser.add_argument("--port", type=int, default=1883, help="its MQTT port")
