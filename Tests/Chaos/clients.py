"""The clients of a chaos run, each a process of its own that keeps a journal.

    clients.py KIND NAME JOURNAL BOOTSTRAP TOPIC PARTITIONS [GROUP]

KIND is confluent-writer, kafka-python-writer, confluent-reader, kafka-python-reader or observer.
SIGTERM ends one: a writer once all that it sent was answered, a reader after a last commit.
"""

import itertools
import logging
import signal
import sys
import threading
import time

from history import Journal, value

ENDED = threading.Event()
# Longer than any fault lasts: whoever is refused after that was let down.
GIVES_UP_AFTER = 120_000
COMMITS_EVERY = 0.5
# A writer sends one record to every partition, and again after that.
SENDS_EVERY = 0.02
QUIET = {"log_level": 0}


def settings(bootstrap, **more):
    """What librdkafka is told: soon at another broker, so that pauses are those of the mesh."""
    return {"bootstrap.servers": bootstrap, "socket.timeout.ms": 2_000 if not more.pop(
        "patient", False) else 10_000, "reconnect.backoff.max.ms": 200,
        "retry.backoff.ms": 20, "retry.backoff.max.ms": 100, **QUIET, **more}


# MARK: Producers


def confluent_writer(name, journal, bootstrap, topic, partitions):
    from confluent_kafka import Producer
    producer = Producer({**settings(bootstrap), "enable.idempotence": True, "acks": "all",
                         "linger.ms": 2, "message.timeout.ms": GIVES_UP_AFTER})

    def delivered(partition, number):
        def report(error, message):
            if error:
                journal.now("f", partition, number, error)
            else:
                offset = message.offset()
                journal.now("a", partition, number, -1 if offset is None else offset)
        return report

    number, due = 0, time.monotonic()
    for number in itertools.count():
        if ENDED.is_set():
            break
        for partition in range(partitions):
            while True:
                try:
                    producer.produce(topic, value(name, partition, number).encode(),
                                     partition=partition,
                                     on_delivery=delivered(partition, number))
                    break
                except BufferError:
                    producer.poll(0.1)
                    journal.flush(0.05)
        due = max(due + SENDS_EVERY, time.monotonic() - 0.5)
        while (left := due - time.monotonic()) > 0:
            producer.poll(left)
        journal.flush(0.05)
    left = producer.flush(GIVES_UP_AFTER / 1000)
    if left == 0:
        journal.now("e", number)
    producer.purge()


def kafka_python_writer(name, journal, bootstrap, topic, partitions):
    from kafka import KafkaProducer
    producer = KafkaProducer(
        bootstrap_servers=bootstrap.split(","), enable_idempotence=True, acks="all", linger_ms=5,
        delivery_timeout_ms=GIVES_UP_AFTER, request_timeout_ms=3_000, retry_backoff_ms=50,
        reconnect_backoff_max_ms=300, max_block_ms=GIVES_UP_AFTER)
    # Callbacks come from the client's own thread.
    lock = threading.Lock()

    def note(kind, *words):
        with lock:
            journal.now(kind, *words)

    number = 0
    for number in itertools.count():
        if ENDED.is_set():
            break
        for partition in range(partitions):
            future = producer.send(topic, value(name, partition, number).encode(),
                                   partition=partition)
            future.add_callback(lambda answer, partition=partition, number=number: note(
                "a", partition, number, answer.offset))
            future.add_errback(lambda error, partition=partition, number=number: note(
                "f", partition, number, repr(error).replace("\t", " ")))
        time.sleep(SENDS_EVERY)
        with lock:
            journal.flush(0.05)
    try:
        producer.flush(GIVES_UP_AFTER / 1000)
        note("e", number)
    finally:
        journal.flush()
        producer.close(timeout=2)


# MARK: Members of groups


class Member:
    """What a reader keeps: positions that are not committed yet, and its journal."""

    def __init__(self, journal):
        self.journal, self.positions, self.next = journal, {}, 0.0
        self.owned = set()

    def got(self, partition, offset, text):
        self.journal.now("r", partition, offset, text)
        # A call that hands out records may have lost the partition on its way.
        if partition in self.owned:
            self.positions[partition] = offset + 1

    def assigned(self, partitions):
        # What it has not committed of what it no longer owns is another's to read again.
        self.positions, self.owned = {}, set(partitions)
        self.journal.now("g", " ".join(map(str, sorted(partitions))))

    def commit(self, perform):
        """Commits what was read, at most so often; `perform` raises where it is not told "done".

        What was read is in the journal before: a kill must not leave a commit without it."""
        if not self.positions or time.monotonic() < self.next:
            return
        due, self.positions = self.positions, {}
        for partition, offset in due.items():
            self.journal.now("t", partition, offset)
        self.journal.flush()
        try:
            perform(due)
        except Exception as error:  # whatever it was, the commit has no answer
            reason = repr(error).replace("\t", " ")[:160]
            for partition, offset in due.items():
                self.journal.now("x", partition, offset, reason)
        else:
            for partition, offset in due.items():
                self.journal.now("k", partition, offset)
        self.journal.flush()
        self.next = time.monotonic() + COMMITS_EVERY


def confluent_reader(name, journal, bootstrap, topic, partitions, group):
    from confluent_kafka import Consumer, KafkaException, TopicPartition
    consumer = Consumer({
        **settings(bootstrap, patient=True), "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "session.timeout.ms": 10_000, "client.id": name,
        "heartbeat.interval.ms": 1_000, "fetch.wait.max.ms": 100})
    member = Member(journal)

    def perform(due):
        rows = consumer.commit(offsets=[TopicPartition(topic, *row) for row in due.items()],
                               asynchronous=False)
        for row in rows:
            if row.error:
                raise KafkaException(row.error)

    consumer.subscribe(
        [topic], on_assign=lambda _, rows: member.assigned([row.partition for row in rows]),
        on_revoke=lambda *_: member.assigned([]), on_lost=lambda *_: member.assigned([]))
    while not ENDED.is_set():
        for message in consumer.consume(500, 0.05):
            if not message.error():
                member.got(message.partition(), message.offset(), message.value().decode())
        member.commit(perform)
        journal.flush(0.1)
    member.next = 0
    member.commit(perform)
    journal.flush()
    consumer.close()


def kafka_python_reader(name, journal, bootstrap, topic, partitions, group):
    from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError
    from kafka.structs import OffsetAndMetadata
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap.split(","), group_id=group, client_id=name,
        auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=10_000,
        heartbeat_interval_ms=1_000, request_timeout_ms=12_000, fetch_max_wait_ms=100,
        retry_backoff_ms=50, reconnect_backoff_max_ms=300)
    member = Member(journal)

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            member.assigned([])

        def on_partitions_assigned(self, assigned):
            member.assigned([place.partition for place in assigned])

    def perform(due):
        consumer.commit({TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
                         for partition, offset in due.items()}, timeout_ms=5_000)

    consumer.subscribe([topic], listener=Listener())
    while not ENDED.is_set():
        try:
            polled = consumer.poll(timeout_ms=100, max_records=500)
        except KafkaError as error:
            # Where all brokers are down it says so; an application tries again.
            logging.error("poll: %r", error)
            time.sleep(0.1)
            continue
        for rows in polled.values():
            for row in rows:
                member.got(row.partition, row.offset, row.value.decode())
        member.commit(perform)
        journal.flush(0.1)
    member.next = 0
    member.commit(perform)
    journal.flush()
    consumer.close(timeout_ms=2_000)


def observer(name, journal, bootstrap, topic, partitions, groups):
    """Asks what is committed, over and over: offsets that go back show here."""
    from confluent_kafka import Consumer, KafkaException, TopicPartition
    consumers = {group: Consumer({**settings(bootstrap), "group.id": group})
                 for group in groups.split(",")}
    wanted = [TopicPartition(topic, number) for number in range(partitions)]
    while not ENDED.wait(0.4):
        for group, consumer in consumers.items():
            begin = time.monotonic()
            try:
                rows = consumer.committed(wanted, 4)
            except KafkaException:
                continue
            end = time.monotonic()
            for row in rows:
                if not row.error:
                    journal.add("o", f"{begin:.6f}", f"{end:.6f}", group, row.partition,
                                max(-1, row.offset))
        journal.flush()
    journal.flush()


KINDS = {"confluent-writer": confluent_writer, "kafka-python-writer": kafka_python_writer,
         "confluent-reader": confluent_reader, "kafka-python-reader": kafka_python_reader,
         "observer": observer}


def main():
    kind, name, path, bootstrap, topic, partitions, *group = sys.argv[1:]
    # Ctrl-C is for the program that started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: ENDED.set())
    # What a client says of itself explains what it did; the timeline of a violation quotes it.
    logging.basicConfig(format="%(created).3f %(message)s", level=logging.ERROR)
    logging.getLogger("kafka.consumer").setLevel(logging.INFO)
    journal = Journal(path)
    try:
        KINDS[kind](name, journal, bootstrap, topic, int(partitions), *group)
    finally:
        journal.flush()


if __name__ == "__main__":
    main()
