"""One idempotent producer of the crash test: numbers in order to one partition, until told to stop.

    producer.py BOOTSTRAP TOPIC PARTITION NAME ACKED

Sends `NAME:0`, `NAME:1`, .. and appends `number offset` to the file ACKED for each acknowledgement.
A line (or the end) on standard input stops it: it then waits for every outstanding answer.
Exit code 0: every record that was sent was acknowledged.
"""

import sys
import threading

from confluent_kafka import Producer

# Small batches and a short queue: a kill meets many requests on their way.
WINDOW = 500


def main():
    bootstrap, topic, partition, name, acked_path = sys.argv[1:]
    stopping = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stopping.set()), daemon=True).start()
    producer = Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 1,
        "batch.num.messages": 50, "retry.backoff.ms": 20, "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 100, "request.timeout.ms": 5_000,
        "topic.metadata.refresh.interval.ms": 1_000,
    })
    state = {"acked": 0, "failed": None}
    with open(acked_path, "a", buffering=1) as acked:

        def report(error, message):
            if error is not None:
                state["failed"] = state["failed"] or error
            else:
                state["acked"] += 1
                acked.write(f"{message.value().decode().split(':')[1]} {message.offset()}\n")

        number = 0
        while not stopping.is_set() and state["failed"] is None:
            if number - state["acked"] < WINDOW:
                producer.produce(
                    topic, f"{name}:{number}".encode(), partition=int(partition),
                    on_delivery=report)
                number += 1
                producer.poll(0)
            else:
                producer.poll(0.01)
        left = producer.flush(60)
    if state["failed"] is not None:
        sys.exit(f"producer {name}: {state['failed']}")
    if left:
        sys.exit(f"producer {name}: {left} records without an answer")
    print(number)


main()
