"""usage: producer.py PORT TOPIC COUNT INTERVAL_S: publishes "job 0" ... at QoS 1 and waits for every PUBACK."""
import sys
import time

from client import new_client

port, topic, count, interval_s = sys.argv[1:5]
client = new_client()
client.connect("127.0.0.1", int(port), 60)
client.loop_start()
sent = []
for number in range(int(count)):
    sent.append(client.publish(topic, f"job {number}", qos=1))
    time.sleep(float(interval_s))
for message in sent:
    message.wait_for_publish()
client.disconnect()
client.loop_stop()
print("finished")
