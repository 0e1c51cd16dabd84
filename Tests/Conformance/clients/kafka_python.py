"""kafka-python: a client in pure Python, with fetch sessions and its own group logic."""

import time

from kafka import KafkaProducer, TopicPartition, errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata

from harness import WAIT, broker, case, check, equal, main, values, wait_for
from kafka_python_common import (
    FAST, Member, admin, consumer, create_topic, poll_all, read_topic, send, unique, wait_balanced)

NO_AUTO_CREATE = "defaults: { autoCreateTopics: false }\n"


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
