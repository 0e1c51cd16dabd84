"""Partitions with three copies: brokers die, pause and come back while clients go on."""

import signal
import threading
import time

import cases
from broker import wait_until
from cases import QUIET, case, check
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from mesh import Mesh

PARTITIONS = 6


def create_replicated(broker, name, partitions=PARTITIONS, replicas=3, **config):
    values = {key.replace("_", "."): value for key, value in config.items()}
    client = AdminClient({"bootstrap.servers": broker.bootstrap, **QUIET})
    client.create_topics([NewTopic(name, partitions, replicas, config=values)])[name].result(20)


class Writer(threading.Thread):
    """An idempotent producer that never stops, and what was acknowledged to it, in order."""

    def __init__(self, mesh, topic, partitions=PARTITIONS):
        super().__init__(daemon=True)
        self.topic = topic
        self.partitions = partitions
        self.acknowledged = {partition: [] for partition in range(partitions)}
        self.failures = []
        self.last = {}
        self.pauses = {}
        self.ended = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": ",".join(broker.bootstrap for broker in mesh),
            "enable.idempotence": True, "acks": "all", "linger.ms": 1,
            "message.timeout.ms": 60_000, "socket.timeout.ms": 2_000, "retry.backoff.ms": 20,
            "retry.backoff.max.ms": 100,
            "reconnect.backoff.max.ms": 200, **QUIET})

    def delivered(self, partition, number):
        def report(error, message):
            if error:
                return self.failures.append(f"{partition}/{number}: {error}")
            now = time.monotonic()
            pause = now - self.last.get(partition, now)
            self.pauses[partition] = max(self.pauses.get(partition, 0), pause)
            self.last[partition] = now
            self.acknowledged[partition].append((message.offset(), number))
        return report

    def run(self):
        number = 0
        while not self.ended.is_set():
            for partition in range(self.partitions):
                value = f"{partition}-{number}".encode()
                try:
                    self.producer.produce(self.topic, value, partition=partition,
                                          on_delivery=self.delivered(partition, number))
                except BufferError:
                    break
            number += 1
            self.producer.poll(0.005)

    def forget_pauses(self):
        self.pauses = {}

    def count(self):
        return sum(len(rows) for rows in self.acknowledged.values())

    def await_progress(self, records=200, deadline=30):
        before = {partition: len(rows) for partition, rows in self.acknowledged.items()}
        wait_until(
            lambda: all(len(rows) >= before[partition] + records // self.partitions
                        for partition, rows in self.acknowledged.items()),
            deadline, "acknowledgements on every partition", 0.01)

    def finish(self):
        self.ended.set()
        self.join()
        left = self.producer.flush(60)
        check(left == 0, f"{left} records were neither acknowledged nor refused")
        check(not self.failures, f"{len(self.failures)} refused: {self.failures[:2]}")


def verify(writer, broker, topic):
    """Everything acknowledged is there once, where it was said to be, in order."""
    found = read_all(broker, topic, writer)
    for partition, rows in writer.acknowledged.items():
        log = found[partition]
        values = list(log.values())
        check(len(set(values)) == len(values), f"partition {partition}: records twice")
        numbers = [int(value.split("-")[1]) for value in values]
        check(numbers == sorted(numbers), f"partition {partition}: out of order")
        there = set(values)
        for offset, number in rows:
            # A retry of what more than five later batches follow is acknowledged without one.
            if offset is None:
                check(f"{partition}-{number}" in there,
                      f"partition {partition}: {number} was acknowledged and is not there")
                continue
            check(log.get(offset) == f"{partition}-{number}",
                  f"partition {partition}: {number} was acknowledged at {offset}, "
                  f"there is {log.get(offset)}")
    return sum(len(log) for log in found.values())


def read_all(broker, topic, writer, deadline=60):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": "unused",
        "enable.auto.commit": False, "auto.offset.reset": "earliest", **QUIET})
    found = {partition: {} for partition in range(writer.partitions)}
    try:
        ends = {}
        for partition in found:
            ends[partition] = consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=20)[1]
        consumer.assign([TopicPartition(topic, partition, 0) for partition in found])
        until = time.monotonic() + deadline

        def is_short():
            return any(max(log, default=-1) < ends[number] - 1 for number, log in found.items())

        while is_short() and time.monotonic() < until:
            for message in consumer.consume(500, 0.5):
                check(message.error() is None, f"consuming: {message.error()}")
                found[message.partition()][message.offset()] = message.value().decode()
        reached = [max(log, default=-1) for log in found.values()]
        check(not is_short(), f"read to {reached} of {ends}")
    finally:
        consumer.close()
    return found


def leaders(broker, topic):
    """{partition: node id of its leader}"""
    rows = AdminClient({"bootstrap.servers": broker.bootstrap, **QUIET}) \
        .list_topics(topic, 5).topics[topic].partitions
    return {number: row.leader for number, row in rows.items()}


def await_in_sync(mesh, topic, copies=3, deadline=30):
    """Every running broker says so: one that has just started tells what it knew when it ended."""
    def full(broker):
        topics = AdminClient({"bootstrap.servers": broker.bootstrap, **QUIET}) \
            .list_topics(topic, 5).topics[topic].partitions
        return all(len(row.isrs) == copies and row.leader > 0 for row in topics.values())
    wait_until(lambda: all(full(broker) for broker in mesh.running()),
               deadline, f"{copies} copies in sync everywhere", 0.05)


@case
def killed_leaders_lose_nothing(stage):
    """Each of three brokers is killed and started again under a producer: nothing is lost."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 10, "three voters", 0.05)
        create_replicated(mesh[1], "safe")
        mesh.await_topic("safe")
        writer = Writer(mesh, "safe")
        writer.start()
        writer.await_progress()
        longest = 0.0
        for victim in (1, 2, 3):
            writer.forget_pauses()
            mesh[victim].kill()
            writer.await_progress()
            longest = max(longest, *writer.pauses.values())
            mesh[victim].start()
            await_in_sync(mesh, "safe")
        writer.finish()
        count = verify(writer, mesh[2], "safe")
    return f"{writer.count()} acknowledged, {count} found; longest pause {longest:.2f} s"


@case
def all_killed_at_once_lose_nothing(stage):
    """All three brokers are killed and started again: every acknowledged record is there."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 10, "three voters", 0.05)
        create_replicated(mesh[1], "safe")
        mesh.await_topic("safe")
        writer = Writer(mesh, "safe")
        writer.start()
        writer.await_progress(600)
        for broker in mesh:
            broker.kill()
        for broker in mesh:
            broker.start()
        began = time.monotonic()
        writer.await_progress(deadline=60)
        back = time.monotonic() - began
        await_in_sync(mesh, "safe")
        writer.finish()
        count = verify(writer, mesh[3], "safe")
    return f"{writer.count()} acknowledged, {count} found; {back:.2f} s after the start"


@case
def a_paused_leader_is_replaced(stage):
    """SIGSTOP for eight seconds: others lead; the paused one comes back as a follower."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 10, "three voters", 0.05)
        create_replicated(mesh[1], "safe")
        mesh.await_topic("safe")
        writer = Writer(mesh, "safe")
        writer.start()
        writer.await_progress()
        writer.forget_pauses()
        mesh[2].send_signal(signal.SIGSTOP)
        writer.await_progress()
        longest = max(writer.pauses.values())
        stopped = time.monotonic()
        while time.monotonic() - stopped < 8:
            writer.await_progress()
        mesh[2].send_signal(signal.SIGCONT)
        await_in_sync(mesh, "safe")
        writer.finish()
        count = verify(writer, mesh[1], "safe")
    return f"{writer.count()} acknowledged, {count} found; longest pause {longest:.2f} s"


def in_sync(broker, topic):
    topics = AdminClient({"bootstrap.servers": broker.bootstrap, **QUIET}) \
        .list_topics(topic, 5).topics[topic].partitions
    return [sorted(row.isrs) for row in topics.values()]


@case
def a_silent_follower_leaves_the_set(stage):
    """SIGSTOP of a broker while nothing is written: the first record after that waits for nobody."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 10, "three voters", 0.05)
        create_replicated(mesh[1], "idle")
        mesh.await_topic("idle")
        await_in_sync(mesh, "idle")
        # Longer than any follower may be silent: nobody falls out who is there.
        time.sleep(3)
        check(in_sync(mesh[1], "idle") == [[1, 2, 3]] * PARTITIONS, in_sync(mesh[1], "idle"))
        mesh[3].send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        wait_until(lambda: in_sync(mesh[1], "idle") == [[1, 2]] * PARTITIONS, 10,
                   "two in sync", 0.02)
        took = time.monotonic() - begin
        mesh[3].send_signal(signal.SIGCONT)
        await_in_sync(mesh, "idle")
    return f"out after {took:.2f} s"


@case
def groups_outlive_their_coordinator(stage):
    """The broker that coordinates a group is killed: its offsets are at the next one."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 10, "three voters", 0.05)
        create_replicated(mesh[1], "work", partitions=1)
        mesh.await_topic("work")
        cases.publish(mesh[1], "work", ["a", "b", "c"], 1)
        first = cases.consume(mesh[2], "work", 3, group="team", commit=True)
        check(first == ["a", "b", "c"], f"before: {first}")
        coordinator = cases.coordinator(mesh[1], "team")
        mesh[coordinator].kill()
        other = mesh.running()[0]
        cases.publish(other, "work", ["d"], 1)
        second = cases.consume(other, "work", 1, group="team", deadline=30)
        check(second == ["d"], f"after: {second}")
    return f"coordinator {coordinator} killed; the group went on behind its commit"
