"""The well-behaved client beside the strangers: produces numbers and consumes them in order.

    beside.py BOOTSTRAP TOPIC PROGRESS

Writes how many came back to the file PROGRESS. A line on standard input stops it; then it prints
`sent received worst_milliseconds`. Exit code 0: everything came back once and in order.
"""

import sys
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

RATE_PER_SECOND = 200


def main():
    bootstrap, topic, progress = sys.argv[1:]
    stopping = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stopping.set()), daemon=True).start()
    errors = []
    producer = Producer({
        "bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "message.timeout.ms": 30_000})
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "beside", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    sent = received = 0
    worst = 0.0
    started = time.monotonic()
    end = None
    while end is None or (received < sent and time.monotonic() < end):
        if end is None and sent < (time.monotonic() - started) * RATE_PER_SECOND:
            producer.produce(
                topic, f"{sent} {time.monotonic()}".encode(), partition=0,
                on_delivery=lambda error, _: error and errors.append(error))
            sent += 1
        producer.poll(0)
        for message in consumer.consume(100, 0.004):
            if message.error():
                errors.append(message.error())
                continue
            number, stamp = message.value().split()
            if int(number) != received:
                sys.exit(f"expected number {received}, got {number.decode()}")
            received += 1
            worst = max(worst, time.monotonic() - float(stamp))
            if received % 50 == 0:
                with open(progress, "w") as out:
                    out.write(str(received))
        if end is None and stopping.is_set():
            end = time.monotonic() + 30
    producer.flush(30)
    consumer.close()
    print(sent, received, round(worst * 1_000))
    if errors or sent != received:
        sys.exit(f"{len(errors)} errors, first {errors[:1]}; {sent} sent, {received} received")


main()
