"""Kills the leader of a topic under a producer and a consumer, and says whether anything was lost.

    demo-kill.py TOPIC BOOTSTRAP=PID ..     the brokers, in the order of their node ids

Prints the node id that was killed on the last line.
"""

import os
import signal
import sys
import threading
import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

DEADLINE_SECONDS = 60
RATE = 1_000
QUIET = {"log_level": 0}


class Publisher(threading.Thread):
    """An idempotent producer at a steady rate; notes what was acknowledged and its longest pause."""

    def __init__(self, bootstrap, topic):
        super().__init__(daemon=True)
        self.topic, self.acknowledged, self.pause = topic, set(), 0.0
        self.failed, self.ended, self.last = 0, threading.Event(), None
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 1, **QUIET})

    def delivered(self, error, message):
        now = time.monotonic()
        if error:
            self.failed += 1
            return
        self.pause = max(self.pause, now - (self.last or now))
        self.last = now
        self.acknowledged.add(message.value())

    def run(self):
        number, begin = 0, time.monotonic()
        while not self.ended.is_set():
            while number < (time.monotonic() - begin) * RATE:
                # All to one partition: what is measured is its leader.
                self.producer.produce(
                    self.topic, str(number).encode(), partition=0, on_delivery=self.delivered)
                number += 1
            self.producer.poll(0.002)
        self.producer.flush(DEADLINE_SECONDS)


class Reader(threading.Thread):
    """A consumer in a group; notes all that came."""

    def __init__(self, bootstrap, topic):
        super().__init__(daemon=True)
        self.seen, self.twice, self.ended = set(), 0, threading.Event()
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "demo-kill",
            "auto.offset.reset": "earliest", **QUIET})
        self.consumer.subscribe([topic])

    def run(self):
        while not self.ended.is_set():
            for message in self.consumer.consume(1_000, 0.1):
                if not message.error():
                    self.twice += message.value() in self.seen
                    self.seen.add(message.value())
        self.consumer.close()


def main():
    topic, brokers = sys.argv[1], [word.split("=") for word in sys.argv[2:]]
    bootstrap = ",".join(address for address, _ in brokers)
    publisher, reader = Publisher(bootstrap, topic), Reader(bootstrap, topic)
    publisher.start()
    reader.start()
    end = time.monotonic() + DEADLINE_SECONDS
    while len(reader.seen) < RATE and time.monotonic() < end:
        time.sleep(0.05)
    admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})
    victim = admin.list_topics(topic, 10).topics[topic].partitions[0].leader
    os.kill(int(brokers[victim - 1][1]), signal.SIGKILL)
    before = len(publisher.acknowledged)
    while len(publisher.acknowledged) < before + 2 * RATE and time.monotonic() < end:
        time.sleep(0.05)
    publisher.ended.set()
    publisher.join()
    while not publisher.acknowledged <= reader.seen and time.monotonic() < end:
        time.sleep(0.05)
    reader.ended.set()
    reader.join()
    lost = len(publisher.acknowledged - reader.seen)
    print(f"n{victim} killed: {len(publisher.acknowledged):,} acknowledged, "
          f"{len(reader.seen):,} consumed, {lost} lost; pause {publisher.pause:.2f} s")
    print(victim)
    sys.exit(0 if not lost and not publisher.failed and len(reader.seen) >= before + RATE else 1)


main()
