"""Consumer groups through confluent-kafka: who gets what, and what survives a restart."""

import os
import signal
import subprocess
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from confluent_common import (
    admin, consumer, create_topic, poll_all, producer, send, taken, unique, wait_assigned)
from harness import WAIT, broker, case, check, equal, main, wait_for

# Short enough for a test, not under the least that Kafka allows by default.
SESSION = dict(session_timeout_ms=6_000, heartbeat_interval_ms=500)


def fill(bootstrap, topic, partitions, start, count):
    send(producer(bootstrap, linger_ms=5), topic, [
        dict(value=b"%d" % n, partition=n % partitions) for n in range(start, start + count)])


def drain(members, expected, seen):
    """Polls all members until the numbers `expected` were seen by any of them."""
    missing = set(expected) - set(seen)

    def done():
        for member in members:
            for message in taken(member.consume(500, 0.05)):
                seen.append(int(message.value()))
                missing.discard(seen[-1])
        return not missing

    wait_for(done, "every message at some member", pause=0)


def close(members):
    for member in members:
        member.close()


def join(bootstrap, group, topic, **settings):
    member = consumer(bootstrap, group, **SESSION, **settings)
    member.subscribe([topic])
    return member


def four_members_case(strategy):
    @case(f"group-of-4-{strategy}", deadline=90)
    def run(bootstrap):
        """Four members share twelve partitions, one leaves, one joins: nothing is seen twice."""
        topic, group, seen = create_topic(bootstrap, partitions=12), unique("group"), []
        members = [
            join(bootstrap, group, topic, partition_assignment_strategy=strategy)
            for _ in range(4)]
        wait_assigned(members, 12, "four members share the partitions")
        fill(bootstrap, topic, 12, 0, 2_400)
        drain(members, range(2_400), seen)
        for member in members:
            member.commit(asynchronous=False)
        members.pop().close()
        wait_assigned(members, 12, "three members share the partitions")
        fill(bootstrap, topic, 12, 2_400, 1_200)
        drain(members, range(3_600), seen)
        for member in members:
            member.commit(asynchronous=False)
        members.append(join(bootstrap, group, topic, partition_assignment_strategy=strategy))
        wait_assigned(members, 12, "the newcomer gets a share")
        fill(bootstrap, topic, 12, 3_600, 1_200)
        drain(members, range(4_800), seen)
        close(members)
        equal(sorted(seen), list(range(4_800)), "each message once")


for name in ("range", "roundrobin", "cooperative-sticky"):
    four_members_case(name)


@case("cooperative-keeps-what-it-can")
def cooperative(bootstrap):
    """With the cooperative assignor a newcomer takes only what it gets; the rest is never revoked."""
    topic, group = create_topic(bootstrap, partitions=6), unique("group")
    settings = dict(partition_assignment_strategy="cooperative-sticky")
    lost = []
    first = consumer(bootstrap, group, **SESSION, **settings)
    first.subscribe([topic], on_revoke=lambda _, gone: lost.extend(p.partition for p in gone))
    wait_assigned([first], 6, "the first member has all")
    second = join(bootstrap, group, topic, **settings)
    wait_assigned([first, second], 6, "two members share")
    equal(len(lost), 3, "partitions that the first member lost")
    equal(sorted(lost), sorted(p.partition for p in second.assignment()), "who has them now")
    close([first, second])


@case("static-member-restarts-without-rebalance")
def static_members(bootstrap):
    topic, group = create_topic(bootstrap, partitions=6), unique("group")
    moves = []

    def static(instance):
        member = consumer(bootstrap, group, group_instance_id=instance,
                          session_timeout_ms=20_000, heartbeat_interval_ms=300)
        member.subscribe([topic], on_assign=lambda *_: moves.append(instance))
        return member

    members = [static("a"), static("b")]
    wait_assigned(members, 6, "two static members share")
    share = {p.partition for p in members[1].assignment()}
    moves.clear()
    members[1].close()  # a static member says no goodbye
    fill(bootstrap, topic, 6, 0, 60)
    members[1] = static("b")
    wait_for(lambda: members[0].poll(0.02) is None and members[1].assignment() or
             (members[1].poll(0.02), None)[1], "the restarted member has its share")
    equal({p.partition for p in members[1].assignment()}, share, "the same partitions as before")
    equal(moves, ["b"], "assignments: only the one that restarted")
    close(members)


@case("static-member-is-fenced")
def static_fenced(bootstrap):
    """Of two members with one instance id, the newer stays and the older is told so."""
    topic, group = create_topic(bootstrap), unique("group")
    fatal = []
    older = Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "group.instance.id": "same",
        "heartbeat.interval.ms": 300, "session.timeout.ms": 10_000,
        "error_cb": fatal.append})
    older.subscribe([topic])
    wait_assigned([older], 1, "the older member has the partition")
    newer = join(bootstrap, group, topic, group_instance_id="same")

    def fenced():
        newer.poll(0.02)
        message = older.poll(0.02)
        codes = [e.code() for e in fatal]
        if message is not None and message.error():
            codes.append(message.error().code())
        return {KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL} & set(codes)

    wait_for(fenced, "the older member is fenced", pause=0)
    wait_for(lambda: newer.poll(0.02) or newer.assignment(), "the newer member has the partition")
    newer.close()
    older.close()


@case("member-killed", deadline=90)
def member_killed(bootstrap):
    """A member that dies without a word loses its share after the session timeout."""
    topic, group = create_topic(bootstrap, partitions=4), unique("group")
    other = subprocess.Popen(
        [sys.executable, __file__, "member", bootstrap, group, topic], stdout=subprocess.PIPE,
        text=True)
    equal(other.stdout.readline().strip(), "assigned", "the other member's first line")
    stays = join(bootstrap, group, topic)
    wait_for(lambda: stays.poll(0.02) or 0 < len(stays.assignment()) < 4, "both have a share")
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    wait_assigned([stays], 4, "the survivor has everything")
    stays.close()


@case("commit-and-resume", deadline=90)
def commit_and_resume(bootstrap):
    """Committed offsets outlive the consumer and two restarts of the broker."""
    topic, group = create_topic(bootstrap, partitions=2), unique("group")
    fill(bootstrap, topic, 2, 0, 200)
    total = set()
    for action in ("kill", "stop", None):
        member = join(bootstrap, group, topic)
        part = [int(m.value()) for m in poll_all(member, 50)]
        check(not total & set(part), "nothing twice after a resume")
        total |= set(part)
        member.commit(offsets=[TopicPartition(p.topic, p.partition, p.offset)
                               for p in member.position(member.assignment())],
                      asynchronous=False)
        member.close()
        if action:
            broker(action)
            broker("start")
    member = join(bootstrap, group, topic)
    total |= {int(m.value()) for m in poll_all(member, 50)}
    equal(total, set(range(200)), "all messages")
    member.close()


@case("group-outlives-the-broker", deadline=90)
def group_outlives(bootstrap):
    """A group at work goes on by itself after the broker was killed and started again."""
    topic, group, seen = create_topic(bootstrap, partitions=4), unique("group"), []
    members = [
        join(bootstrap, group, topic, reconnect_backoff_max_ms=250, retry_backoff_ms=50)
        for _ in range(2)]
    wait_assigned(members, 4, "two members share")
    fill(bootstrap, topic, 4, 0, 400)
    drain_through(members, range(400), seen)
    for member in members:
        member.commit(asynchronous=False)
    broker("kill")
    broker("start")
    fill(bootstrap, topic, 4, 400, 400)
    drain_through(members, range(800), seen)
    equal(set(seen), set(range(800)), "all messages")
    close(members)


def drain_through(members, expected, seen):
    """Like `drain`, but a lost connection is no failure."""
    missing = set(expected) - set(seen)

    def done():
        for member in members:
            for message in member.consume(500, 0.05):
                if message.error():
                    check(message.error().retriable() or message.error().code() < 0,
                          f"{message.error()}")
                    continue
                seen.append(int(message.value()))
                missing.discard(seen[-1])
        return not missing

    wait_for(done, "every message at some member", pause=0)


@case("lag")
def lag(bootstrap):
    topic, group = create_topic(bootstrap, partitions=2), unique("group")
    fill(bootstrap, topic, 2, 0, 200)
    handle = consumer(bootstrap, group)
    equal([p.offset for p in handle.committed([TopicPartition(topic, 0)], 10)], [-1_001], "none")
    handle.commit(offsets=[TopicPartition(topic, 0, 40, "a note"), TopicPartition(topic, 1, 100)],
                  asynchronous=False)
    lags, notes = [], []
    for place in handle.committed([TopicPartition(topic, n) for n in range(2)], 10):
        _, end = handle.get_watermark_offsets(place, 10)
        lags.append(end - place.offset)
        notes.append(place.metadata)
    equal(lags, [60, 0], "lag")
    equal(notes[0], "a note", "metadata of the commit")
    handle.commit(offsets=[TopicPartition(topic, 0, 10)], asynchronous=False)
    equal(handle.committed([TopicPartition(topic, 0)], 10)[0].offset, 10, "a rewind is legal")
    handle.close()


@case("auto-commit")
def auto_commit(bootstrap):
    topic, group = create_topic(bootstrap), unique("group")
    fill(bootstrap, topic, 1, 0, 100)
    member = join(bootstrap, group, topic, enable_auto_commit=True, auto_commit_interval_ms=100)
    poll_all(member, 100)
    member.close()
    handle = consumer(bootstrap, group)
    equal(handle.committed([TopicPartition(topic, 0)], 10)[0].offset, 100, "committed at the close")
    handle.close()


@case("regex-subscription")
def regex(bootstrap):
    stem, group = unique("many"), unique("group")
    names = [create_topic(bootstrap, name=f"{stem}.{n}") for n in range(3)]
    member = consumer(bootstrap, group, topic_metadata_refresh_interval_ms=500, **SESSION)
    member.subscribe([f"^{stem}\\..*"])
    wait_for(lambda: member.poll(0.05) or {p.topic for p in member.assignment()} == set(names),
             "the matching topics are assigned")
    names.append(create_topic(bootstrap, name=f"{stem}.3"))
    wait_for(lambda: member.poll(0.05) or {p.topic for p in member.assignment()} == set(names),
             "a new matching topic is assigned")
    member.close()


@case("commit-of-a-former-member-is-refused")
def fenced_commit(bootstrap):
    """A commit with a group's id from outside the group does not disturb its members."""
    topic, group = create_topic(bootstrap), unique("group")
    member = join(bootstrap, group, topic)
    wait_assigned([member], 1, "one member")
    outsider = consumer(bootstrap, group)
    try:
        outsider.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
        check(False, "the commit was taken")
    except KafkaException as error:
        check(error.args[0].code() in (
            KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION), f"{error}")
    outsider.close()
    member.close()


def run_member(bootstrap, group, topic):
    """The program of a member that another process will kill."""
    member = join(bootstrap, group, topic)
    wait_assigned([member], 4, "all partitions", WAIT)
    print("assigned", flush=True)
    while True:
        member.poll(0.1)


if __name__ == "__main__":
    if sys.argv[1] == "member":
        run_member(*sys.argv[2:])
    else:
        main()
