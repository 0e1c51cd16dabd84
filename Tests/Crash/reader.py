"""Reads a topic whole: prints `partition offset value` for each message, then the end offsets.

    reader.py BOOTSTRAP TOPIC PARTITIONS [SECONDS]

Stops when every partition is read to its end, or after SECONDS without progress. Errors go to
standard error, they do not end it: a partition that is refused is reported by what is missing.
"""

import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition


def main():
    bootstrap, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
    patience = float(sys.argv[4]) if len(sys.argv) > 4 else 30.0
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "error",
        "enable.auto.commit": False, "check.crcs": True})
    places = [TopicPartition(topic, number, 0) for number in range(partitions)]
    ends = {}
    for place in places:
        try:
            low, high = consumer.get_watermark_offsets(place, 5)
            ends[place.partition] = high
            print("end", place.partition, low, high)
        except KafkaException as error:
            print(f"end of partition {place.partition}: {error}", file=sys.stderr)
    consumer.assign(places)
    reached = {partition: 0 for partition in ends}
    last_progress = time.monotonic()
    while any(reached[p] < ends[p] for p in ends):
        for message in consumer.consume(10_000, 0.5):
            if message.error():
                print(f"partition {message.partition()}: {message.error()}", file=sys.stderr)
                continue
            print("record", message.partition(), message.offset(), message.value().decode())
            reached[message.partition()] = message.offset() + 1
            last_progress = time.monotonic()
        if time.monotonic() - last_progress > patience:
            break
    consumer.close()


main()
