"""
A stock client on Paho for Python, for the tests; its command line is that of stock_client.c:

    stock_client.py publish URL CA VERSION  QOS RETAIN TOPIC TEXT ...
    stock_client.py subscribe URL CA VERSION  CLIENT_ID LASTING QOS FILTER WILL_TOPIC RESPONDS
"""
import signal
import sys
import threading
from urllib.parse import urlparse

import paho.mqtt.client as mqtt
from paho.mqtt import packettypes, properties

mode, url, ca, version = sys.argv[1:5]
rest = sys.argv[5:]
is_v5 = version == "5"
where = urlparse(url)
failures = []


def new_client(client_id, is_lasting):
    options = dict(
        client_id=client_id,
        protocol=mqtt.MQTTv5 if is_v5 else mqtt.MQTTv311,
        transport="websockets" if where.scheme.startswith("ws") else "tcp",
    )
    if not is_v5:
        options["clean_session"] = not is_lasting
    versions = getattr(mqtt, "CallbackAPIVersion", None)
    client = mqtt.Client(**options) if versions is None else mqtt.Client(versions.VERSION1, **options)
    if where.scheme.startswith("ws"):
        client.ws_set_options(path=where.path)
    if ca != "-":
        client.tls_set(ca_certs=ca)
    return client


def connect(client, is_lasting):
    if not is_v5:
        client.connect(where.hostname, where.port, 20)
        return
    expiry = properties.Properties(packettypes.PacketTypes.CONNECT)
    expiry.SessionExpiryInterval = 600 if is_lasting else 0
    client.connect(where.hostname, where.port, 20, clean_start=not is_lasting, properties=expiry)


def publish():
    client = new_client("", False)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    connect(client, False)
    client.loop_start()
    if not connected.wait(30):
        sys.exit("no CONNACK")
    for qos, retain, topic, text in zip(*[iter(rest)] * 4):
        client.publish(topic, text, int(qos), retain == "1").wait_for_publish()
    client.disconnect()
    client.loop_stop()


def subscribe():
    client_id, lasting, qos, topic_filter, will_topic, responds = rest
    client = new_client(client_id, lasting == "1")
    present = 0

    def on_connect(client, userdata, flags, reason_code, properties=None):
        nonlocal present
        if reason_code != 0:
            sys.exit(f"CONNACK {reason_code}")
        present = flags["session present"]
        client.subscribe(topic_filter, int(qos))

    def on_subscribe(client, userdata, mid, granted, properties=None):
        codes = [code.value if hasattr(code, "value") else code for code in granted]
        if codes != [int(qos)]:
            failures.append(f"SUBACK {codes}")
        print("subscribed", present, flush=True)

    def on_message(client, userdata, message):
        text = message.payload.decode()
        print(message.qos, int(message.retain), message.topic, text, flush=True)
        if responds != "1":
            return
        response_topic, answer_properties = f"{message.topic}/response", None
        given = getattr(message, "properties", None)
        if given is not None and hasattr(given, "ResponseTopic"):
            response_topic = given.ResponseTopic
            answer_properties = properties.Properties(packettypes.PacketTypes.PUBLISH)
            if hasattr(given, "CorrelationData"):
                answer_properties.CorrelationData = given.CorrelationData
        client.publish(response_topic, text.upper(), 1, properties=answer_properties)

    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    if will_topic != "-":
        client.will_set(will_topic, "gone", 1)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    connect(client, lasting == "1")
    while not ending.is_set() and not failures:
        if client.loop(0.1) != mqtt.MQTT_ERR_SUCCESS:
            failures.append("the connection is gone")
    client.disconnect()


publish() if mode == "publish" else subscribe()
if failures:
    sys.exit(failures[0])
