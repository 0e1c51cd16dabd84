"""Consumes the demonstration's messages with a group and says whether all came, in order.

    demo-consume.py BOOTSTRAP TOPIC COUNT
"""

import sys
import time

from confluent_kafka import Consumer

DEADLINE_SECONDS = 60


def main():
    bootstrap, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "demo", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    end = time.monotonic() + DEADLINE_SECONDS
    messages = []
    while len(messages) < count and time.monotonic() < end:
        for message in consumer.consume(1_000, 0.2):
            if message.error():
                sys.exit(f"\nerror: {message.error()}")
            messages.append(message)
    consumer.close()

    numbers = [int(message.value().split()[-1]) for message in messages]
    last = {}
    ordered = True
    for message, number in zip(messages, numbers):
        ordered = ordered and last.get(message.partition(), 0) < number
        last[message.partition()] = number
    whole = sorted(numbers) == list(range(1, count + 1))
    print(f"{len(messages):,} of {count:,}, "
          + (f"in order in each of {len(last)} partitions" if ordered else "NOT in order")
          + ("" if whole else ", NOT all of them once"))
    for message in messages[:3]:
        print(f"      {topic}/{message.partition()} offset {message.offset()}: "
              f"{message.key().decode()} -> {message.value().decode()}")
    print("      ...")
    sys.exit(0 if whole and ordered else 1)


main()
