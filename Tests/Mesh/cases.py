"""What the cases of this folder share: their list, how they fail, and Kafka clients."""

import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Support"))

import wire  # noqa: E402
from broker import wait_until  # noqa: E402

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import (  # noqa: E402
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
    ResourceType)


class Failure(Exception):
    """The mesh did not do what it promises."""


class Skip(Exception):
    """This machine can't run the case; says why."""


@dataclass
class Stage:
    """What a case is given."""

    binary: Path
    python: Path


CASES = {}


def case(function):
    """Registers `function(stage)`, which returns a line of figures, or raises."""
    CASES[function.__name__.replace("_", "-")] = function
    return function


def check(condition, what):
    if not condition:
        raise Failure(what)


def at_most(figures, bound, what):
    """Checks a dictionary of times; returns `lowest to highest s`."""
    check(max(figures.values()) <= bound, f"{what}: {figures}, more than {bound} s")
    low, high = min(figures.values()), max(figures.values())
    return f"{low:.2f} to {high:.2f} s"


def refused(broker, *words, deadline=20):
    """Starts a broker that has to end by itself, with an error that has all `words` in it."""
    broker.spawn()
    wait_until(lambda: not broker.alive(), deadline, f"the end of {broker.node_id}, which is refused")
    text = "\n".join(broker.log_since_start())
    check(broker.process.returncode == 1, f"exit code {broker.process.returncode}: {text}")
    check("ready" not in text.splitlines(), f"it said that it is ready: {text}")
    check("error: " in text, f"no error: line: {text}")
    for word in words:
        check(re.search(word, text), f"the error does not say {word!r}: {text}")
    return next(line for line in text.splitlines() if "error: " in line)


# MARK: Kafka clients

QUIET = {"log_level": 0}


class Administrator:
    """An admin client that lives until its futures were answered; destroyed ones never are."""

    def __init__(self, broker):
        self.client = AdminClient({"bootstrap.servers": broker.bootstrap, **QUIET})

    def create(self, name, partitions=3, **config):
        values = {key.replace("_", "."): value for key, value in config.items()}
        self.client.create_topics([NewTopic(name, partitions, 1, config=values)])[name].result(20)

    def grow(self, name, partitions):
        self.client.create_partitions([NewPartitions(name, partitions)])[name].result(20)

    def delete(self, name):
        self.client.delete_topics([name])[name].result(20)

    def alter(self, name, key, value):
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        change = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        self.client.incremental_alter_configs([change])[change].result(20)

    def config(self, name, key):
        resource = ConfigResource(ResourceType.TOPIC, name)
        return self.client.describe_configs([resource])[resource].result(20)[key].value

    def groups(self):
        return [row.group_id for row in self.client.list_consumer_groups().result(20).valid]


def create_topic(broker, name, partitions=3, **config):
    Administrator(broker).create(name, partitions, **config)


def publish(broker, topic, values, partitions=3):
    """Publishes each value with acks=all; returns when all were acknowledged."""
    failures = []
    producer = Producer({
        "bootstrap.servers": broker.bootstrap, "acks": "all", "message.timeout.ms": 20_000, **QUIET})
    for number, value in enumerate(values):
        producer.produce(topic, value.encode(), partition=number % partitions,
                         on_delivery=lambda error, _: failures.append(error) if error else None)
    left = producer.flush(30)
    check(not failures and not left, f"publishing by {broker.node_id}: {left} left, {failures[:1]}")


def kcat_publish(broker, topic, values):
    subprocess.run(["kcat", "-P", "-b", broker.bootstrap, "-t", topic, "-X", "message.timeout.ms=20000"],
                   input="\n".join(values) + "\n", text=True, check=True, timeout=60,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def consume(broker, topic, count, group=None, deadline=30, commit=False):
    """The values of `topic` from its begin, or from a group's offsets."""
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": group or "unused",
        "auto.offset.reset": "earliest", "enable.auto.commit": False, **QUIET})
    values = []
    try:
        if group:
            consumer.subscribe([topic])
        else:
            partitions = consumer.list_topics(topic, 10).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])

        def poll():
            message = consumer.poll(0.2)
            if message is not None and not message.error():
                values.append(message.value().decode())
            return len(values) >= count

        wait_until(poll, deadline, f"{count} records of {topic} by {broker.node_id}", 0)
        if commit:
            consumer.commit(asynchronous=False)
    finally:
        consumer.close()
    return values


def committed(broker, group, topic, partitions=3):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, **QUIET})
    try:
        wanted = [TopicPartition(topic, number) for number in range(partitions)]
        return {row.partition: row.offset for row in consumer.committed(wanted, 15)}
    finally:
        consumer.close()


def coordinator(broker, group):
    """The node id of the broker that coordinates a group."""
    client = Administrator(broker).client
    return client.describe_consumer_groups([group])[group].result(20).coordinator.id


def metadata(broker, topic=None):
    """What one broker's Metadata says: brokers and partitions, in a form that can be compared."""
    answer = Administrator(broker).client.list_topics(topic, 10)
    brokers = {row.id: (row.host, row.port) for row in answer.brokers.values()}
    topics = {
        name: {row.id: (row.leader, row.error.name() if row.error else None)
               for row in topic.partitions.values()}
        for name, topic in answer.topics.items() if not name.startswith("__")}
    return brokers, topics


def racks(broker):
    """{node id: rack} of Metadata version 1, which needs no client that shows racks."""
    with wire.connect((broker.host, broker.port)) as connection:
        connection.sendall(wire.request(wire.METADATA, 1, 1, b"\0\0\0\0"))
        _, body = wire.read_response(connection)
    position, found = 4, {}

    def string():
        nonlocal position
        length = int.from_bytes(body[position:position + 2], "big", signed=True)
        position += 2 + max(0, length)
        return body[position - max(0, length):position].decode() if length >= 0 else None

    for _ in range(int.from_bytes(body[:4], "big")):
        node = int.from_bytes(body[position:position + 4], "big")
        position += 4
        string()
        position += 4
        found[node] = string()
    return found


class InBackground:
    """A callable that repeats until it is stopped, and remembers what went wrong."""

    def __init__(self, act):
        self.act, self.rounds, self.error, self.ended = act, 0, None, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended.is_set():
            try:
                self.act()
                self.rounds += 1
            except Exception as error:  # whatever it was belongs in the report
                self.error = error
                return

    def stop(self):
        self.ended.set()
        self.thread.join(30)
        if self.error:
            raise self.error
        return self.rounds
