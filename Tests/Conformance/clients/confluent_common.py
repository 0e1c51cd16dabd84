"""Short forms for the confluent-kafka programs: topics, producers, consumers."""

import time
import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import WAIT, check, wait_for

BEGINNING, END = -2, -1


def unique(name):
    return f"{name}-{uuid.uuid4().hex[:8]}"


# An admin client must outlive the futures that it gave out, so one lives as long as the program.
_admins = {}


def admin(bootstrap):
    if bootstrap not in _admins:
        _admins[bootstrap] = AdminClient({"bootstrap.servers": bootstrap})
    return _admins[bootstrap]


def create_topic(bootstrap, partitions=1, name=None, **config):
    """Creates a topic; `config` has underscores in place of dots."""
    name = name or unique("topic")
    settings = {key.replace("_", "."): str(value) for key, value in config.items()}
    new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=settings)
    admin(bootstrap).create_topics([new], operation_timeout=WAIT)[name].result(WAIT)
    return name


def producer(bootstrap, **settings):
    return Producer({
        "bootstrap.servers": bootstrap, "acks": "all",
        **{key.replace("_", "."): value for key, value in settings.items()}})


def consumer(bootstrap, group=None, **settings):
    return Consumer({
        "bootstrap.servers": bootstrap, "group.id": group or unique("group"),
        "auto.offset.reset": "earliest", "enable.auto.commit": False,
        **{key.replace("_", "."): value for key, value in settings.items()}})


def send(handle, topic, records):
    """Produces records (dictionaries of `produce` arguments) and returns the acknowledged messages."""
    delivered, errors = [], []

    def report(error, message):
        if error is None:
            delivered.append(message)
        else:
            errors.append(error)

    for record in records:
        while True:
            try:
                handle.produce(topic, on_delivery=report, **record)
                break
            except BufferError:
                handle.poll(0.1)
    left = handle.flush(WAIT)
    check(not errors, f"{len(errors)} records were not acknowledged, first: {errors[:1]}")
    check(left == 0, f"{left} records without an answer")
    return delivered


def poll_all(handle, count, deadline=WAIT, settle=0.0):
    """Consumes until `count` messages came; with `settle`, waits that long for one too many."""
    found = []
    end = time.monotonic() + deadline
    while len(found) < count:
        check(time.monotonic() < end, f"{len(found)} of {count} messages within {deadline:g} s")
        found += taken(handle.consume(max(1, min(10_000, count - len(found))), 0.5))
    if settle:
        extra = taken(handle.consume(1, settle))
        check(not extra, f"a message too many: {extra[:1]}")
    return found


def taken(messages):
    for message in messages:
        if message.error():
            raise KafkaException(message.error())
    return messages


def read_topic(bootstrap, topic, count, partitions=1, **settings):
    """Reads `count` messages from the beginning of every partition, without joining a group."""
    handle = consumer(bootstrap, **settings)
    try:
        handle.assign([TopicPartition(topic, number, BEGINNING) for number in range(partitions)])
        return poll_all(handle, count)
    finally:
        handle.close()


def wait_assigned(members, partitions, what, deadline=WAIT):
    """Polls all members until their assignments are disjoint, whole, and none is empty."""
    seen = []

    def balanced():
        for member in members:
            message = member.poll(0.02)
            if message is not None:
                seen.extend(taken([message]))
        shares = [{p.partition for p in member.assignment()} for member in members]
        whole = set().union(*shares) == set(range(partitions))
        disjoint = sum(map(len, shares)) == partitions
        return whole and disjoint and all(shares)

    wait_for(balanced, what, deadline, pause=0)
    return seen
