"""Messages through confluent-kafka: what goes in comes out, wherever one starts to read."""

import time

from confluent_kafka import (
    TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, TopicPartition)

from confluent_common import (
    BEGINNING, END, admin, consumer, create_topic, poll_all, producer, read_topic, send, unique)
from harness import broker, case, check, equal, main, values, wait_for

NO_AUTO_CREATE = "defaults: { autoCreateTopics: false }\n"
MIB = 1 << 20


def codec_case(codec):
    @case(f"codec-{codec}")
    def run(bootstrap):
        topic = create_topic(bootstrap)
        payloads = values(2_000)
        records = [dict(value=v, key=v[:6], headers=[("n", v[:10])]) for v in payloads]
        send(producer(bootstrap, compression_type=codec, linger_ms=20), topic, records)
        messages = read_topic(bootstrap, topic, len(records))
        equal([m.value() for m in messages], payloads, "values")
        equal([m.key() for m in messages], [v[:6] for v in payloads], "keys")
        equal([m.headers() for m in messages], [r["headers"] for r in records], "headers")
        equal([m.offset() for m in messages], list(range(2_000)), "offsets")


for name in ("none", "gzip", "snappy", "lz4", "zstd"):
    codec_case(name)


@case("codecs-mixed-in-one-partition")
def codecs_mixed(bootstrap):
    topic = create_topic(bootstrap)
    payloads = values(500)
    for number, codec in enumerate(("zstd", "none", "lz4", "gzip", "snappy")):
        part = payloads[number * 100:][:100]
        send(producer(bootstrap, compression_type=codec), topic, [dict(value=v) for v in part])
    equal([m.value() for m in read_topic(bootstrap, topic, 500)], payloads, "values")


@case("headers")
def headers(bootstrap):
    topic = create_topic(bootstrap)
    sent = [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None),
            ("grüße ✓", "größe".encode()), ("binary", bytes(range(256))), ("", b"no name")]
    send(producer(bootstrap), topic, [dict(value=b"v", headers=sent), dict(value=b"w")])
    first, second = read_topic(bootstrap, topic, 2)
    equal(first.headers(), sent, "headers, in order, doubles and nulls kept")
    check(not second.headers(), "a message without headers has none")


@case("keys")
def keys(bootstrap):
    topic = create_topic(bootstrap, partitions=10)
    sent = [f"key-{n % 37}".encode() for n in range(1_000)] + [b"", bytes(range(256)), None]
    send(producer(bootstrap), topic, [dict(value=b"%d" % n, key=k) for n, k in enumerate(sent)])
    messages = read_topic(bootstrap, topic, len(sent), partitions=10)
    found = {int(m.value()): m for m in messages}
    equal([found[n].key() for n in range(len(sent))], sent, "keys")
    places = {}
    for message in messages:
        if message.key():
            places.setdefault(message.key(), set()).add(message.partition())
    check(all(len(p) == 1 for p in places.values()), "one partition for each key")


@case("empty-and-null-values")
def empty_and_null(bootstrap):
    topic = create_topic(bootstrap)
    sent = [b"", None, b"x", None, b""]
    send(producer(bootstrap), topic, [dict(value=v, key=b"k") for v in sent])
    equal([m.value() for m in read_topic(bootstrap, topic, 5)], sent, "values")


@case("large-900-kb")
def large(bootstrap):
    topic = create_topic(bootstrap)
    sent = values(5, size=900_000)
    send(producer(bootstrap), topic, [dict(value=v) for v in sent])
    equal([m.value() == v for m, v in zip(read_topic(bootstrap, topic, 5), sent)], [True] * 5, "values")


@case("large-5-mb")
def huge(bootstrap):
    topic = create_topic(bootstrap, max_message_bytes=6 * MIB)
    sent = values(3, size=5_000_000)
    send(producer(bootstrap, message_max_bytes=6 * MIB), topic, [dict(value=v) for v in sent])
    # The default fetch limit is smaller than the message: it must still come (KIP-74).
    found = read_topic(bootstrap, topic, 3)
    equal([m.value() == v for m, v in zip(found, sent)], [True] * 3, "values")


@case("too-large-is-refused")
def too_large(bootstrap):
    topic = create_topic(bootstrap)
    handle = producer(bootstrap, message_max_bytes=8 * MIB)
    errors = []
    handle.produce(topic, values(1, size=3_000_000)[0], on_delivery=lambda e, m: errors.append(e))
    handle.flush(20)
    equal([e.code() for e in errors], [KafkaError.MSG_SIZE_TOO_LARGE], "error")
    send(handle, topic, [dict(value=b"small")])
    equal([m.value() for m in read_topic(bootstrap, topic, 1)], [b"small"], "the next message")


@case("create-time")
def create_time(bootstrap):
    topic = create_topic(bootstrap)
    times = [1_600_000_000_000 + 1_000 * n for n in range(10)]
    send(producer(bootstrap), topic, [dict(value=b"v", timestamp=t) for t in times])
    found = [m.timestamp() for m in read_topic(bootstrap, topic, 10)]
    equal(found, [(TIMESTAMP_CREATE_TIME, t) for t in times], "timestamps")


@case("log-append-time")
def append_time(bootstrap):
    topic = create_topic(bootstrap, message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1_000)
    for codec in ("none", "lz4"):
        send(producer(bootstrap, compression_type=codec), topic,
             [dict(value=b"v", timestamp=1_600_000_000_000)] * 10)
    after = int(time.time() * 1_000)
    for message in read_topic(bootstrap, topic, 20):
        kind, stamp = message.timestamp()
        equal(kind, TIMESTAMP_LOG_APPEND_TIME, "timestamp type")
        check(before - 1 <= stamp <= after + 1, f"{before} <= {stamp} <= {after}")


@case("partitions-50")
def fifty_partitions(bootstrap):
    topic = create_topic(bootstrap, partitions=50)
    total = 10_000
    records = [dict(value=b"%d" % n, partition=n % 50) for n in range(total)]
    send(producer(bootstrap, linger_ms=20), topic, records)
    rows = {}
    for message in read_topic(bootstrap, topic, total, partitions=50):
        rows.setdefault(message.partition(), []).append((message.offset(), int(message.value())))
    equal(len(rows), 50, "partitions with messages")
    for partition, row in rows.items():
        expected = [(n, n * 50 + partition) for n in range(total // 50)]
        equal(row, expected, f"partition {partition}")


@case("acks-0-1-all")
def acks(bootstrap):
    topic = create_topic(bootstrap)
    sent = []
    for level in ("0", "1", "all"):
        part = values(100, tag=f"acks-{level}")
        send(producer(bootstrap, acks=level), topic, [dict(value=v) for v in part])
        # A message without an acknowledgement may still be on its way: read it before the next.
        sent += part
        equal([m.value() for m in read_topic(bootstrap, topic, len(sent))], sent, f"acks={level}")


@case("seek-by-time")
def seek_by_time(bootstrap):
    topic = create_topic(bootstrap, partitions=2)
    base = 1_700_000_000_000
    for start in range(0, 1_000, 100):  # ten batches, so that an answer lies inside one
        send(producer(bootstrap), topic, [
            dict(value=b"%d" % n, partition=0, timestamp=base + 10 * n)
            for n in range(start, start + 100)])
    handle = consumer(bootstrap)

    def offset_at(stamp, partition=0):
        return handle.offsets_for_times([TopicPartition(topic, partition, stamp)], 10)[0].offset

    equal(offset_at(base), 0, "the first timestamp")
    equal(offset_at(base - 5), 0, "before the first")
    equal(offset_at(base + 5_550), 555, "an exact timestamp")
    equal(offset_at(base + 5_551), 556, "between two")
    equal(offset_at(base + 9_990), 999, "the last")
    equal(offset_at(base + 9_991), END, "after the last: the end")
    equal(offset_at(base, partition=1), END, "an empty partition: the end")
    handle.assign([TopicPartition(topic, 0, offset_at(base + 7_000))])
    equal(poll_all(handle, 1)[0].value(), b"700", "the message read there")
    handle.close()


@case("positions")
def positions(bootstrap):
    topic = create_topic(bootstrap)
    send(producer(bootstrap), topic, [dict(value=b"%d" % n) for n in range(100)])
    handle = consumer(bootstrap)
    equal(handle.get_watermark_offsets(TopicPartition(topic, 0), 10), (0, 100), "watermarks")
    for offset, first in ((BEGINNING, 0), (40, 40), (99, 99)):
        handle.assign([TopicPartition(topic, 0, offset)])
        equal(poll_all(handle, 1)[0].offset(), first, f"start at {offset}")
    handle.assign([TopicPartition(topic, 0, END)])
    check(handle.poll(0.3) is None, "nothing at the end")
    send(producer(bootstrap), topic, [dict(value=b"100")])
    equal(poll_all(handle, 1)[0].offset(), 100, "the first after the end")
    handle.seek(TopicPartition(topic, 0, 7))
    equal(poll_all(handle, 1)[0].offset(), 7, "seek")
    handle.close()


@case("offset-out-of-range")
def out_of_range(bootstrap):
    topic = create_topic(bootstrap)
    send(producer(bootstrap), topic, [dict(value=b"%d" % n) for n in range(10)])
    handle = consumer(bootstrap, auto_offset_reset="earliest")
    handle.assign([TopicPartition(topic, 0, 5_000)])
    equal(poll_all(handle, 1)[0].offset(), 0, "reset to the earliest")
    handle.close()
    handle = consumer(bootstrap, auto_offset_reset="error")
    handle.assign([TopicPartition(topic, 0, 5_000)])
    try:
        poll_all(handle, 1)
        check(False, "no error")
    except KafkaException as error:
        equal(error.args[0].code(), KafkaError._AUTO_OFFSET_RESET, "reset=error")
    handle.close()


@case("long-poll")
def long_poll(bootstrap):
    """A waiting fetch is answered when a message comes, not when its wait ends."""
    topic = create_topic(bootstrap)
    handle = consumer(bootstrap, fetch_wait_max_ms=5_000)
    handle.assign([TopicPartition(topic, 0, BEGINNING)])
    source = producer(bootstrap, linger_ms=0)
    worst = 0.0
    for number in range(20):
        started = time.monotonic()
        send(source, topic, [dict(value=b"%d" % number)])
        equal(poll_all(handle, 1)[0].value(), b"%d" % number, "value")
        if number:  # the first also waits for the connection
            worst = max(worst, time.monotonic() - started)
    check(worst < 2.0, f"a message took {worst:.2f} s to a consumer that waited")
    handle.close()


@case("fetch-limits")
def fetch_limits(bootstrap):
    """Small limits still make progress, and every message comes once and in order."""
    topic = create_topic(bootstrap, partitions=3)
    payloads = values(3_000, size=1_000)
    send(producer(bootstrap), topic,
         [dict(value=v, partition=n % 3) for n, v in enumerate(payloads)])
    found = read_topic(
        bootstrap, topic, 3_000, partitions=3, fetch_max_bytes=20_000, message_max_bytes=10_000,
        fetch_message_max_bytes=5_000)
    for partition in range(3):
        row = [m.value() for m in found if m.partition() == partition]
        equal(row, payloads[partition::3], f"partition {partition}")


def restart_case(name, action):
    @case(f"idempotent-across-{name}", deadline=90)
    def run(bootstrap):
        """The broker goes away three times under an idempotent producer: no loss, no double."""
        topic = create_topic(bootstrap, partitions=2)
        handle = producer(
            bootstrap, enable_idempotence=True, linger_ms=1, retry_backoff_ms=50,
            reconnect_backoff_ms=50, reconnect_backoff_max_ms=250, batch_num_messages=50)
        errors, acknowledged = [], [0]

        def report(error, _):
            acknowledged[0] += error is None
            if error is not None:
                errors.append(error)

        total, actions = 30_000, {7_500, 15_000, 22_500}
        for number in range(total):
            handle.produce(topic, b"%d" % number, partition=number % 2, on_delivery=report)
            handle.poll(0)
            if number in actions:
                # Some of them answered, the others in flight or queued.
                wait_for(lambda: handle.poll(0.001) or acknowledged[0] > number - 7_000,
                         "acknowledgements before the broker goes", pause=0)
                broker(action)
                broker("start")
        check(handle.flush(60) == 0, "every record answered")
        check(not errors, f"errors: {errors[:3]}")
        found = read_topic(bootstrap, topic, total, partitions=2)
        for partition in range(2):
            row = [int(m.value()) for m in found if m.partition() == partition]
            equal(row, list(range(partition, total, 2)), f"partition {partition}: once, in order")


restart_case("sigkill", "kill")
restart_case("sigterm", "stop")


@case("auto-create")
def auto_create(bootstrap):
    topic = unique("auto")
    send(producer(bootstrap), topic, [dict(value=b"v", key=b"k")])
    metadata = admin(bootstrap).list_topics(timeout=10)
    check(topic in metadata.topics, "the topic is listed")
    partitions = len(metadata.topics[topic].partitions)
    equal(read_topic(bootstrap, topic, 1, partitions=partitions)[0].value(), b"v", "value")


@case("unknown-topic-is-refused", config=NO_AUTO_CREATE)
def no_auto_create(bootstrap):
    topic = unique("absent")
    handle, errors = producer(bootstrap, topic_metadata_propagation_max_ms=500), []
    handle.produce(topic, b"v", on_delivery=lambda e, m: errors.append(e))
    handle.flush(20)
    check([e.code() for e in errors] in (
        [KafkaError._UNKNOWN_TOPIC], [KafkaError.UNKNOWN_TOPIC_OR_PART]), f"error {errors}")
    metadata = admin(bootstrap).list_topics(topic, timeout=10)
    equal(metadata.topics[topic].error.code(), KafkaError.UNKNOWN_TOPIC_OR_PART, "metadata")
    check(topic not in admin(bootstrap).list_topics(timeout=10).topics, "nothing was created")


@case("topic-made-anew-while-consumed")
def made_anew(bootstrap):
    """A consumer that reads by topic id goes over to the new topic of the name, from its begin."""
    topic = create_topic(bootstrap)
    send(producer(bootstrap), topic, [dict(value=b"old %d" % n) for n in range(5)])
    handle = consumer(bootstrap, topic_metadata_refresh_interval_ms=1_000)
    handle.assign([TopicPartition(topic, 0, BEGINNING)])
    equal([m.value() for m in poll_all(handle, 5)], [b"old %d" % n for n in range(5)], "old values")
    admin(bootstrap).delete_topics([topic], operation_timeout=10)[topic].result(10)
    create_topic(bootstrap, name=topic)
    send(producer(bootstrap), topic, [dict(value=b"new %d" % n) for n in range(3)])
    found = []

    def read():
        # Errors of the topic that went are the client's to report; only messages count.
        found.extend(m.value() for m in handle.consume(10, 0.2) if not m.error())
        return len(found) >= 3

    wait_for(read, "the messages of the new topic", pause=0)
    equal(found, [b"new %d" % n for n in range(3)], "new values")
    handle.close()


@case("deleted-topic-is-refused", config=NO_AUTO_CREATE)
def deleted_topic(bootstrap):
    topic = create_topic(bootstrap)
    handle = producer(
        bootstrap, topic_metadata_propagation_max_ms=500, message_timeout_ms=10_000,
        topic_metadata_refresh_interval_ms=500)
    send(handle, topic, [dict(value=b"v")])
    admin(bootstrap).delete_topics([topic], operation_timeout=10)[topic].result(10)
    errors = []
    handle.produce(topic, b"w", on_delivery=lambda e, m: errors.append(e))
    handle.flush(20)
    check(errors and errors[0] is not None, "a record to a deleted topic was acknowledged")
    check(errors[0].code() in (
        KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._MSG_TIMED_OUT), f"error {errors[0]}")


@case("two-clusters", brokers=2)
def two_clusters(first, second):
    """Clients of two brokers at once, on topics of the same name: nothing is mixed up."""
    sides = (first, second)
    for side in sides:
        create_topic(side, partitions=4, name="same")
    equal(len({admin(side).list_topics(timeout=10).cluster_id for side in sides}), 2, "cluster ids")
    sources = [producer(side) for side in sides]
    for number in range(4_000):
        sources[number % 2].produce("same", b"%d" % number, partition=number // 2 % 4)
    for source in sources:
        equal(source.flush(30), 0, "records without an answer")
    for index, side in enumerate(sides):
        found = sorted(int(m.value()) for m in read_topic(side, "same", 2_000, partitions=4))
        equal(found, list(range(index, 4_000, 2)), f"messages of broker {index}")


if __name__ == "__main__":
    main()
