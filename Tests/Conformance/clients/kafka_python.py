"""kafka-python: a client in pure Python, with fetch sessions and its own group logic."""

import threading
import time
import uuid

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata

from harness import WAIT, broker, case, check, equal, main, values, wait_for

NO_AUTO_CREATE = "defaults: { autoCreateTopics: false }\n"
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


def codec_case(codec):
    @case(f"codec-{codec or 'none'}")
    def run(bootstrap):
        topic = create_topic(bootstrap)
        payloads = values(1_000)
        send(bootstrap, topic, [
            dict(value=v, key=v[:6], headers=[("n", v[:10])]) for v in payloads],
            compression_type=codec, linger_ms=20)
        found = read_topic(bootstrap, topic, 1_000)
        equal([m.value for m in found], payloads, "values")
        equal([m.key for m in found], [v[:6] for v in payloads], "keys")
        equal([list(m.headers) for m in found], [[("n", v[:10])] for v in payloads], "headers")


for name in (None, "gzip", "snappy", "lz4", "zstd"):
    codec_case(name)


@case("headers-keys-empty-null")
def shapes(bootstrap):
    topic = create_topic(bootstrap)
    headers = [("a", b"1"), ("a", b"2"), ("empty", b""), ("ключ", b"\x00\xff")]
    records = [
        dict(value=b"v", key=b"k", headers=headers), dict(value=b"", key=b"k"),
        dict(value=None, key=b"k"), dict(value=b"no key", key=None), dict(value=b"x", key=b"\x00")]
    send(bootstrap, topic, records)
    found = read_topic(bootstrap, topic, 5)
    equal([m.value for m in found], [r["value"] for r in records], "values")
    equal([m.key for m in found], [r["key"] for r in records], "keys")
    equal(list(found[0].headers), headers, "headers")


@case("large-5-mb")
def large(bootstrap):
    topic = create_topic(bootstrap, max_message_bytes=6 << 20)
    sent = values(2, size=900_000) + values(1, size=5_000_000)
    send(bootstrap, topic, [dict(value=v) for v in sent], max_request_size=6 << 20)
    found = read_topic(bootstrap, topic, 3)
    equal([m.value == v for m, v in zip(found, sent)], [True] * 3, "values")


@case("timestamps")
def timestamps(bootstrap):
    topic = create_topic(bootstrap)
    times = [1_600_000_000_000 + n for n in range(5)]
    send(bootstrap, topic, [dict(value=b"v", timestamp_ms=t) for t in times])
    found = read_topic(bootstrap, topic, 5)
    equal([(m.timestamp_type, m.timestamp) for m in found], [(0, t) for t in times], "create time")
    topic = create_topic(bootstrap, message_timestamp_type="LogAppendTime")
    now = int(time.time() * 1_000)
    send(bootstrap, topic, [dict(value=b"v", timestamp_ms=5)] * 5)
    for message in read_topic(bootstrap, topic, 5):
        equal(message.timestamp_type, 1, "log-append time")
        check(abs(message.timestamp - now) < 60_000, f"timestamp {message.timestamp}")


@case("partitions-50-with-fetch-sessions")
def fetch_sessions(bootstrap):
    """Incremental fetch sessions over 50 partitions: idle ones, busy ones, paused ones."""
    topic = create_topic(bootstrap, partitions=50)
    send(bootstrap, topic, [dict(value=b"%d" % n, partition=n % 50) for n in range(2_000)])
    handle = consumer(bootstrap, max_poll_records=10_000)
    places = [TopicPartition(topic, number) for number in range(50)]
    handle.assign(places)
    handle.seek_to_beginning(*places)
    numbers = [int(m.value) for m in poll_all(handle, 2_000)]
    # One partition at a time wakes up in a session where the others stay silent.
    for n in (7, 7, 31, 49, 0):
        send(bootstrap, topic, [dict(value=b"%d" % len(numbers), partition=n)])
        message = poll_all(handle, 1)[0]
        equal((message.partition, int(message.value)), (n, len(numbers)), "the new message")
        numbers.append(int(message.value))
    handle.pause(*places[:25])
    send(bootstrap, topic, [dict(value=b"x", partition=n) for n in (3, 40)])
    equal([m.partition for m in poll_all(handle, 1)], [40], "only what is not paused")
    handle.resume(*places[:25])
    equal([m.partition for m in poll_all(handle, 1)], [3], "what was paused")
    equal(sorted(numbers), list(range(2_005)), "each message once")
    handle.close()


@case("session-survives-a-restart")
def session_restart(bootstrap):
    """A session that the broker forgot is made anew, and nothing is lost or doubled."""
    topic = create_topic(bootstrap, partitions=3)
    handle = consumer(bootstrap, reconnect_backoff_max_ms=250)
    places = [TopicPartition(topic, number) for number in range(3)]
    handle.assign(places)
    handle.seek_to_beginning(*places)
    seen = []
    for turn in range(3):
        send(bootstrap, topic, [
            dict(value=b"%d" % (turn * 300 + n), partition=n % 3) for n in range(300)])
        seen += [int(m.value) for m in poll_all(handle, 300)]
        if turn < 2:
            broker("restart")
    equal(sorted(seen), list(range(900)), "each message once")
    handle.close()


@case("seek-by-time")
def seek_by_time(bootstrap):
    topic = create_topic(bootstrap)
    base = 1_700_000_000_000
    send(bootstrap, topic, [dict(value=b"v", timestamp_ms=base + 10 * n) for n in range(100)])
    handle, place = consumer(bootstrap), TopicPartition(topic, 0)
    found = [handle.offsets_for_times({place: base + t})[place] for t in (-1, 0, 505, 990, 991)]
    equal([entry and entry.offset for entry in found], [0, 0, 51, 99, None], "offsets")
    equal(found[2].timestamp, base + 510, "the timestamp found")
    handle.close()


@case("positions-and-reset")
def positions(bootstrap):
    topic = create_topic(bootstrap)
    send(bootstrap, topic, [dict(value=b"%d" % n) for n in range(50)])
    handle, place = consumer(bootstrap), TopicPartition(topic, 0)
    handle.assign([place])
    equal(handle.beginning_offsets([place])[place], 0, "beginning")
    equal(handle.end_offsets([place])[place], 50, "end")
    handle.seek(place, 20)
    equal(poll_all(handle, 1)[0].offset, 20, "by offset")
    handle.seek(place, 9_999)
    equal(poll_all(handle, 1)[0].offset, 0, "out of range: the earliest")
    handle.close()


@case("idempotent-across-sigkill", deadline=90)
def idempotent(bootstrap):
    topic = create_topic(bootstrap)
    handle = KafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", linger_ms=2,
        reconnect_backoff_max_ms=250)
    futures = []
    for number in range(6_000):
        futures.append(handle.send(topic, b"%d" % number))
        if number in (2_000, 4_000):
            broker("kill")
            broker("start")
    handle.flush(60)
    offsets = [future.get(WAIT).offset for future in futures]
    handle.close()
    equal(offsets, list(range(6_000)), "offsets that were acknowledged")
    equal([int(m.value) for m in read_topic(bootstrap, topic, 6_000)], list(range(6_000)), "values")


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
                    self.handle.commit()
                self.share = {place.partition for place in self.handle.assignment()}
            self.handle.close()
        except Exception as error:
            self.error = error

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


def four_members_case(name, **settings):
    @case(f"group-of-4-{name}", deadline=90)
    def run(bootstrap):
        topic, group, seen = create_topic(bootstrap, partitions=8), unique("group"), []

        def fill(start):
            send(bootstrap, topic, [
                dict(value=b"%d" % n, partition=n % 8) for n in range(start, start + 800)])
            wait_for(lambda: len(seen) >= start + 800, "all messages at some member")

        members = [Member(bootstrap, group, topic, seen, **settings) for _ in range(4)]
        wait_balanced(members, 8, "four members share")
        fill(0)
        members.pop().stop()
        wait_balanced(members, 8, "three members share")
        fill(800)
        members.append(Member(bootstrap, group, topic, seen, **settings))
        wait_balanced(members, 8, "the newcomer has a share")
        fill(1_600)
        for member in members:
            member.stop()
        equal(sorted(seen), list(range(2_400)), "each message once")


four_members_case("range")
four_members_case("cooperative-sticky", partition_assignment_strategy=[CooperativeStickyAssignor])


@case("static-member-restarts")
def static_member(bootstrap):
    topic, group, seen = create_topic(bootstrap, partitions=4), unique("group"), []
    members = [
        Member(bootstrap, group, topic, seen, group_instance_id=i, session_timeout_ms=20_000)
        for i in ("a", "b")]
    wait_balanced(members, 4, "two members share")
    with admin(bootstrap) as handle:
        def ids():
            rows = handle.describe_groups([group])[group]["members"]
            return {row["group_instance_id"]: row["member_id"] for row in rows}
        before, share = ids(), set(members[1].share)
        members[1].stop()
        equal(set(ids()), {"a", "b"}, "a static member that closes stays in the group")
        members[1] = Member(bootstrap, group, topic, seen, group_instance_id="b",
                            session_timeout_ms=20_000)
        wait_balanced(members, 4, "the restarted member is back")
        after = ids()
    equal(members[1].share, share, "the same partitions as before")
    equal(after["a"], before["a"], "the other member's id")
    check(after["b"] != before["b"], "the restarted member has a new id")
    for member in members:
        member.stop()


@case("commit-restart-resume")
def commit_resume(bootstrap):
    topic, group = create_topic(bootstrap), unique("group")
    send(bootstrap, topic, [dict(value=b"%d" % n) for n in range(100)])
    place = TopicPartition(topic, 0)
    member = consumer(bootstrap, topic, group_id=group, max_poll_records=40, **FAST)
    equal(len(poll_all(member, 40)), 40, "the first part")
    member.commit({place: OffsetAndMetadata(40, "here", -1)})
    member.close()
    broker("kill")
    broker("start")
    member = consumer(bootstrap, topic, group_id=group, **FAST)
    equal(int(poll_all(member, 60)[0].value), 40, "the first after the resume")
    equal(member.committed(place), 40, "committed offset")
    equal(member.end_offsets([place])[place] - member.committed(place), 60, "lag")
    member.close()


@case("admin-topics")
def admin_topics(bootstrap):
    topic = create_topic(bootstrap, partitions=2, retention_ms=5_000)
    with admin(bootstrap) as handle:
        check(topic in handle.list_topics(), "listed")
        equal(len(handle.describe_topics([topic])[0]["partitions"]), 2, "partitions")
        try:
            handle.create_topics({topic: dict(num_partitions=1, replication_factor=1)})
            check(False, "created twice")
        except errors.TopicAlreadyExistsError:
            pass
        handle.create_partitions({topic: 4})
        wait_for(lambda: len(handle.describe_topics([topic])[0]["partitions"]) == 4, "4 partitions")
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, None)

        def setting(name):
            found = handle.describe_configs([resource], config_filter="all")
            return found["topic"][topic][name]["value"]

        equal(setting("retention.ms"), "5000", "retention.ms")
        handle.alter_configs([ConfigResource(
            ConfigResourceType.TOPIC, topic, {"retention.ms": "6000"})])
        equal(setting("retention.ms"), "6000", "retention.ms altered")
        send(bootstrap, topic, [dict(value=b"v", partition=0)] * 10)
        place = TopicPartition(topic, 0)
        handle.delete_records({place: 4})
        earliest = handle.list_partition_offsets({place: OffsetSpec.EARLIEST})[place].offset
        latest = handle.list_partition_offsets({place: OffsetSpec.LATEST})[place].offset
        equal((earliest, latest), (4, 10), "offsets after delete_records")
        handle.delete_topics([topic])
        check(topic not in handle.list_topics(), "gone")


@case("admin-groups")
def admin_groups(bootstrap):
    topic, group, seen = create_topic(bootstrap, partitions=2), unique("group"), []
    send(bootstrap, topic, [dict(value=b"%d" % n, partition=n % 2) for n in range(20)])
    member = Member(bootstrap, group, topic, seen)
    wait_for(lambda: len(seen) == 20, "all messages")
    with admin(bootstrap) as handle:
        check(group in [g["group_id"] for g in handle.list_groups()], "listed")
        equal(handle.describe_groups([group])[group]["group_state"], "Stable", "state")
        member.stop()
        equal(handle.describe_groups([group])[group]["group_state"], "Empty", "state")
        place = TopicPartition(topic, 0)
        equal(handle.list_group_offsets(group)[group][place].offset, 10, "committed")
        handle.alter_group_offsets(group, {place: OffsetAndMetadata(3, "", -1)})
        equal(handle.list_group_offsets(group)[group][place].offset, 3, "moved")
        handle.delete_group_offsets(group, [place])
        check(place not in handle.list_group_offsets(group)[group], "offset deleted")
        handle.delete_groups([group])
        check(group not in [g["group_id"] for g in handle.list_groups()], "gone")


@case("admin-cluster")
def admin_cluster(bootstrap):
    topic = create_topic(bootstrap, partitions=3)
    send(bootstrap, topic, [dict(value=b"v" * 1_000, partition=1)] * 10)
    place = TopicPartition(topic, 1)
    with admin(bootstrap) as handle:
        found = handle.describe_cluster()
        equal([b["broker_id"] for b in found["brokers"]], [1], "brokers")
        check(found["cluster_id"], "cluster id")
        rows = [t for d in handle.describe_log_dirs()[0]["log_dirs"] for t in d["topics"]]
        sizes = {p["partition_index"]: p["partition_size"]
                 for t in rows if t["name"] == topic for p in t["partitions"]}
        check(set(sizes) == {0, 1, 2} and sizes[1] > 10_000, f"partition sizes {sizes}")
        first = handle.describe_topic_partitions([topic], response_partition_limit=2)
        equal(len(first["topics"][0]["partitions"]), 2, "a page of partitions")
        rest = handle.describe_topic_partitions([topic], cursor=first["next_cursor"])
        equal(len(rest["topics"][0]["partitions"]), 1, "the rest of them")
        state = handle.describe_producers([place])[place]
        equal(len(state.active_producers), 1, "one idempotent producer is known")


@case("unknown-topic-is-refused", config=NO_AUTO_CREATE)
def unknown_topic(bootstrap):
    try:
        send(bootstrap, unique("absent"), [dict(value=b"v")], max_block_ms=2_000)
        check(False, "acknowledged")
    except (errors.KafkaTimeoutError, errors.UnknownTopicOrPartitionError):
        pass


@case("auto-create")
def auto_create(bootstrap):
    topic = unique("auto")
    place = send(bootstrap, topic, [dict(value=b"v")])[0]
    equal((place.topic, place.offset), (topic, 0), "where it went")


if __name__ == "__main__":
    main()
