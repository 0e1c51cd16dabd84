"""Short forms for the kafka-python programs: topics, producers, consumers, group members."""

import threading
import time
import uuid

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import RebalanceInProgressError

from harness import WAIT, check, equal, wait_for

FAST = dict(session_timeout_ms=6_000, heartbeat_interval_ms=500)


def unique(name):
    return f"{name}-{uuid.uuid4().hex[:8]}"


def admin(bootstrap):
    return KafkaAdminClient(bootstrap_servers=bootstrap)


def create_topic(bootstrap, partitions=1, name=None, **config):
    name = name or unique("topic")
    configs = {key.replace("_", "."): str(value) for key, value in config.items()}
    with admin(bootstrap) as handle:
        handle.create_topics({name: dict(
            num_partitions=partitions, replication_factor=1, configs=configs)})
    return name


def send(bootstrap, topic, records, **settings):
    """Sends records (dictionaries of `send` arguments) and returns their metadata in that order."""
    handle = KafkaProducer(bootstrap_servers=bootstrap, **settings)
    futures = [handle.send(topic, **record) for record in records]
    handle.flush(WAIT)
    found = [future.get(WAIT) for future in futures]
    handle.close()
    return found


def consumer(bootstrap, *topics, **settings):
    return KafkaConsumer(*topics, bootstrap_servers=bootstrap, **{
        "auto_offset_reset": "earliest", "enable_auto_commit": False, **settings})


def poll_all(handle, count, deadline=WAIT):
    found = []
    end = time.monotonic() + deadline
    while len(found) < count:
        check(time.monotonic() < end, f"{len(found)} of {count} messages within {deadline:g} s")
        for batch in handle.poll(timeout_ms=200).values():
            found += batch
    return found


def read_topic(bootstrap, topic, count, partitions=1, **settings):
    handle = consumer(bootstrap, **settings)
    places = [TopicPartition(topic, number) for number in range(partitions)]
    handle.assign(places)
    handle.seek_to_beginning(*places)
    found = poll_all(handle, count)
    handle.close()
    equal(len(found), count, "number of messages")
    return found


class Member(threading.Thread):
    """A group member with a thread of its own, as kafka-python's consumers block while they join."""

    def __init__(self, bootstrap, group, topic, seen, **settings):
        super().__init__(daemon=True)
        self.handle = consumer(bootstrap, topic, group_id=group, **{**FAST, **settings})
        self.seen, self.share, self.leave, self.error = seen, set(), threading.Event(), None
        self.start()

    def run(self):
        try:
            while not self.leave.is_set():
                for batch in self.handle.poll(timeout_ms=50).values():
                    self.seen.extend(int(message.value) for message in batch)
                    self.commit()
                self.share = {place.partition for place in self.handle.assignment()}
            self.handle.close()
        except Exception as error:
            self.error = error

    def commit(self):
        """With the cooperative protocol a commit may meet a rebalance: the next one covers it."""
        try:
            self.handle.commit()
        except RebalanceInProgressError:
            pass

    def stop(self):
        self.leave.set()
        self.join(WAIT)
        check(self.error is None, f"member failed: {self.error!r}")


def wait_balanced(members, partitions, what):
    def balanced():
        failed = [m.error for m in members if m.error]
        check(not failed, f"a member failed: {failed}")
        shares = [m.share for m in members]
        return all(shares) and sum(map(len, shares)) == partitions == len(set().union(*shares))
    wait_for(balanced, what)
