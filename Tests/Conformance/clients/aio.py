"""aiokafka: the asyncio client."""

import asyncio
import time
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import IllegalStateError, UnknownTopicOrPartitionError
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from harness import WAIT, broker, case, check, equal, main, values

FAST = dict(session_timeout_ms=6_000, heartbeat_interval_ms=500)


def unique(name):
    return f"{name}-{uuid.uuid4().hex[:8]}"


def async_case(name, **options):
    def register(function):
        case(name, **options)(lambda *bootstraps: asyncio.run(function(*bootstraps)))
        return function
    return register


async def create_topic(bootstrap, partitions=1, **config):
    name = unique("topic")
    configs = {key.replace("_", "."): str(value) for key, value in config.items()}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    response = await admin.create_topics([
        NewTopic(name, partitions, 1, topic_configs=configs)])
    equal([error[1] for error in response.topic_errors], [0], "create_topics")
    await admin.close()
    return name


async def send(bootstrap, topic, records, **settings):
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", **settings)
    await producer.start()
    try:
        futures = [await producer.send(topic, **record) for record in records]
        return await asyncio.wait_for(asyncio.gather(*futures), WAIT)
    finally:
        await producer.stop()


def consumer(bootstrap, *topics, **settings):
    return AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, **{
        "auto_offset_reset": "earliest", "enable_auto_commit": False, **settings})


async def take(handle, count, deadline=WAIT):
    found = []
    end = time.monotonic() + deadline
    while len(found) < count:
        check(time.monotonic() < end, f"{len(found)} of {count} messages within {deadline:g} s")
        for batch in (await handle.getmany(timeout_ms=200)).values():
            found += batch
    return found


async def read_topic(bootstrap, topic, count, partitions=1, **settings):
    handle = consumer(bootstrap, **settings)
    handle.assign([TopicPartition(topic, number) for number in range(partitions)])
    await handle.start()
    try:
        await handle.seek_to_beginning()
        found = await take(handle, count)
        equal(len(found), count, "number of messages")
        return found
    finally:
        await handle.stop()


def codec_case(codec):
    @async_case(f"codec-{codec or 'none'}")
    async def run(bootstrap):
        topic = await create_topic(bootstrap)
        payloads = values(1_000)
        await send(bootstrap, topic, [
            dict(value=v, key=v[:6], headers=[("n", v[:10])]) for v in payloads],
            compression_type=codec, linger_ms=10)
        found = await read_topic(bootstrap, topic, 1_000)
        equal([m.value for m in found], payloads, "values")
        equal([m.key for m in found], [v[:6] for v in payloads], "keys")
        equal([list(m.headers) for m in found], [[("n", v[:10])] for v in payloads], "headers")


for name in (None, "gzip", "snappy", "lz4", "zstd"):
    codec_case(name)


@async_case("headers-keys-empty-null")
async def shapes(bootstrap):
    topic = await create_topic(bootstrap)
    headers = [("a", b"1"), ("a", b"2"), ("empty", b"")]
    records = [dict(value=b"v", key=b"k", headers=headers), dict(value=b"", key=b""),
               dict(value=None, key=b"k"), dict(value=b"w", key=None)]
    await send(bootstrap, topic, records)
    found = await read_topic(bootstrap, topic, 4)
    equal([(m.key, m.value) for m in found], [(r["key"], r["value"]) for r in records], "messages")
    equal(list(found[0].headers), headers, "headers")


@async_case("large-900-kb")
async def large(bootstrap):
    topic = await create_topic(bootstrap)
    sent = values(3, size=900_000)
    await send(bootstrap, topic, [dict(value=v) for v in sent], max_request_size=2_000_000)
    found = await read_topic(bootstrap, topic, 3)
    equal([m.value == v for m, v in zip(found, sent)], [True] * 3, "values")


@async_case("timestamps-and-seek")
async def timestamps(bootstrap):
    topic, base = await create_topic(bootstrap), 1_700_000_000_000
    await send(bootstrap, topic, [
        dict(value=b"v", timestamp_ms=base + 10 * n) for n in range(100)])
    found = await read_topic(bootstrap, topic, 100)
    equal([(m.timestamp_type, m.timestamp) for m in found],
          [(0, base + 10 * n) for n in range(100)], "create time")
    place, handle = TopicPartition(topic, 0), consumer(bootstrap)
    handle.assign([place])
    await handle.start()
    for stamp, offset in ((-1, 0), (500, 50), (501, 51)):
        answer = await handle.offsets_for_times({place: base + stamp})
        equal(answer[place].offset, offset, f"offset at {stamp}")
    equal((await handle.offsets_for_times({place: base + 991}))[place], None, "after the last")
    equal((await handle.end_offsets([place]))[place], 100, "end")
    handle.seek(place, 10_000)
    equal((await take(handle, 1))[0].offset, 0, "out of range: the earliest")
    await handle.stop()


@async_case("partitions-50")
async def fifty(bootstrap):
    topic = await create_topic(bootstrap, partitions=50)
    await send(bootstrap, topic, [dict(value=b"%d" % n, partition=n % 50) for n in range(2_000)])
    rows = {}
    for message in await read_topic(bootstrap, topic, 2_000, partitions=50):
        rows.setdefault(message.partition, []).append(int(message.value))
    equal(rows, {p: list(range(p, 2_000, 50)) for p in range(50)}, "messages of each partition")


@async_case("idempotent-across-sigkill", deadline=90)
async def idempotent(bootstrap):
    topic = await create_topic(bootstrap)
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, retry_backoff_ms=50)
    await producer.start()
    futures = []
    for number in range(4_000):
        futures.append(await producer.send(topic, b"%d" % number))
        if number in (1_500, 3_000):
            await asyncio.to_thread(broker, "kill")
            await asyncio.to_thread(broker, "start")
    found = await asyncio.wait_for(asyncio.gather(*futures), 60)
    await producer.stop()
    equal([m.offset for m in found], list(range(4_000)), "offsets that were acknowledged")
    numbers = [int(m.value) for m in await read_topic(bootstrap, topic, 4_000)]
    equal(numbers, list(range(4_000)), "values")


async def wait_balanced(members, partitions, seen, what):
    end = time.monotonic() + WAIT
    while True:
        for member in members:
            for batch in (await member.getmany(timeout_ms=20)).values():
                seen.extend(int(message.value) for message in batch)
        shares = [{place.partition for place in member.assignment()} for member in members]
        if all(shares) and sum(map(len, shares)) == partitions == len(set().union(*shares)):
            return
        check(time.monotonic() < end, f"{what}: shares {shares}")


async def collect(members, count, seen):
    end = time.monotonic() + WAIT
    while len(seen) < count:
        check(time.monotonic() < end, f"{len(seen)} of {count} messages")
        for member in members:
            for batch in (await member.getmany(timeout_ms=20)).values():
                seen.extend(int(message.value) for message in batch)
    for member in members:
        await member.commit()


def four_members_case(name, assignor):
    @async_case(f"group-of-4-{name}", deadline=90)
    async def run(bootstrap):
        topic, group, seen = await create_topic(bootstrap, partitions=8), unique("group"), []

        async def join():
            member = consumer(bootstrap, topic, group_id=group, metadata_max_age_ms=1_000,
                              partition_assignment_strategy=[assignor], **FAST)
            await member.start()
            return member

        async def fill(start):
            await send(bootstrap, topic, [
                dict(value=b"%d" % n, partition=n % 8) for n in range(start, start + 400)])
            await collect(members, start + 400, seen)

        members = list(await asyncio.gather(*[join() for _ in range(4)]))
        await wait_balanced(members, 8, seen, "four members share")
        await fill(0)
        await members.pop().stop()
        await wait_balanced(members, 8, seen, "three members share")
        await fill(400)
        members.append(await join())
        await wait_balanced(members, 8, seen, "the newcomer has a share")
        await fill(800)
        for member in members:
            await member.stop()
        equal(sorted(seen), list(range(1_200)), "each message once")


four_members_case("roundrobin", RoundRobinPartitionAssignor)
four_members_case("sticky", StickyPartitionAssignor)


@async_case("static-member-restarts")
async def static_member(bootstrap):
    topic, group, seen, moves = await create_topic(bootstrap, partitions=4), unique("group"), [], []

    class Watch(ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked):
            pass

        async def on_partitions_assigned(self, assigned):
            moves.append(assigned)

    async def join(instance, listener=None):
        member = consumer(bootstrap, group_id=group, group_instance_id=instance,
                          session_timeout_ms=20_000, heartbeat_interval_ms=300)
        member.subscribe([topic], listener=listener)
        await member.start()
        return member

    members = list(await asyncio.gather(join("a", Watch()), join("b")))
    await wait_balanced(members, 4, seen, "two members share")
    share, before = members[1].assignment(), len(moves)
    await members[1].stop()
    members[1] = await join("b")
    await wait_balanced(members, 4, seen, "the restarted member is back")
    equal(members[1].assignment(), share, "the same partitions as before")
    equal(len(moves), before, "assignments of the other member")
    for member in members:
        await member.stop()


@async_case("commit-restart-resume")
async def commit_resume(bootstrap):
    topic, group = await create_topic(bootstrap), unique("group")
    await send(bootstrap, topic, [dict(value=b"%d" % n) for n in range(100)])
    place = TopicPartition(topic, 0)
    member = consumer(bootstrap, topic, group_id=group, max_poll_records=30, **FAST)
    await member.start()
    equal(len(await take(member, 30)), 30, "the first part")
    await member.commit({place: (30, "note")})
    await member.stop()
    await asyncio.to_thread(broker, "kill")
    await asyncio.to_thread(broker, "start")
    member = consumer(bootstrap, topic, group_id=group, **FAST)
    await member.start()
    equal(int((await take(member, 70))[0].value), 30, "the first after the resume")
    equal(await member.committed(place), 30, "committed offset")
    await member.stop()


@async_case("admin")
async def administration(bootstrap):
    topic = await create_topic(bootstrap, partitions=2, retention_ms=5_000)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    check(topic in await admin.list_topics(), "listed")
    equal(len((await admin.describe_topics([topic]))[0]["partitions"]), 2, "partitions")
    equal([b["node_id"] for b in (await admin.describe_cluster())["brokers"]], [1], "brokers")
    await admin.create_partitions({topic: NewPartitions(3)})
    equal(len((await admin.describe_topics([topic]))[0]["partitions"]), 3, "more partitions")
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    found = (await admin.describe_configs([resource]))[0].resources[0]
    equal(found[0], 0, "describe_configs")
    equal({row[0]: row[1] for row in found[4]}["retention.ms"], "5000", "retention.ms")
    await send(bootstrap, topic, [dict(value=b"v", partition=0)] * 10)
    place = TopicPartition(topic, 0)
    equal((await admin.delete_records({place: RecordsToDelete(before_offset=4)}))[place], 4,
          "low watermark")
    equal(await admin.list_consumer_groups(), [], "no groups yet")
    await admin.delete_topics([topic])
    check(topic not in await admin.list_topics(), "gone")
    await admin.close()


@async_case("auto-create")
async def auto_create(bootstrap):
    topic = unique("auto")
    equal((await send(bootstrap, topic, [dict(value=b"v")]))[0].offset, 0, "offset")


if __name__ == "__main__":
    main()
