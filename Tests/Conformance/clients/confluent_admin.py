"""Administration through confluent-kafka's AdminClient."""

from confluent_kafka import (
    ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicCollection,
    TopicPartition)
from confluent_kafka.admin import (
    AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
    ResourceType)

from confluent_common import (
    admin, consumer, create_topic, poll_all, producer, read_topic, send, unique, wait_assigned)
from harness import case, check, equal, main, wait_for


def refused(future, *codes):
    """The future must fail with one of the codes."""
    try:
        future.result(20)
    except KafkaException as error:
        check(error.args[0].code() in codes, f"expected one of {codes}, got {error}")
        return error
    raise AssertionError(f"expected one of {codes}, got success")


def settings_of(bootstrap, topic):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return admin(bootstrap).describe_configs([resource])[resource].result(20)


def create(bootstrap, *topics, **options):
    return admin(bootstrap).create_topics(list(topics), **options)


@case("create-topics")
def create_topics(bootstrap):
    names = [unique("made") for _ in range(3)]
    made = create(bootstrap, *[NewTopic(n, 3, 1, config={"retention.ms": "60000"}) for n in names])
    for future in made.values():
        future.result(20)
    listed = admin(bootstrap).list_topics(timeout=10).topics
    equal([len(listed[n].partitions) for n in names], [3] * 3, "partitions of each")
    refused(create(bootstrap, NewTopic(names[0], 1, 1))[names[0]], KafkaError.TOPIC_ALREADY_EXISTS)
    refused(create(bootstrap, NewTopic("bad name!", 1, 1))["bad name!"],
            KafkaError.TOPIC_EXCEPTION)
    many = unique("many")
    refused(create(bootstrap, NewTopic(many, 1, 3))[many], KafkaError.INVALID_REPLICATION_FACTOR)
    wrong = unique("wrong")
    refused(create(bootstrap, NewTopic(wrong, 1, 1, config={"retention.ms": "soon"}))[wrong],
            KafkaError.INVALID_CONFIG)
    dry = unique("dry")
    create(bootstrap, NewTopic(dry, 1, 1), validate_only=True)[dry].result(20)
    check(dry not in admin(bootstrap).list_topics(timeout=10).topics, "validate_only made a topic")


@case("describe-topics")
def describe_topics(bootstrap):
    topic = create_topic(bootstrap, partitions=3)
    found = admin(bootstrap).describe_topics(TopicCollection([topic]))[topic].result(20)
    equal(found.name, topic, "name")
    equal([p.id for p in found.partitions], [0, 1, 2], "partitions")
    equal([p.leader.id for p in found.partitions], [1, 1, 1], "leaders")
    equal([[n.id for n in p.isr] for p in found.partitions], [[1]] * 3, "in-sync sets")
    check(str(found.topic_id) not in ("", "AAAAAAAAAAAAAAAAAAAAAA"), "a topic id")
    absent = unique("absent")
    refused(admin(bootstrap).describe_topics(TopicCollection([absent]))[absent],
            KafkaError.UNKNOWN_TOPIC_OR_PART)


@case("configs")
def configs(bootstrap):
    topic = create_topic(bootstrap, retention_ms=123_456)
    found = settings_of(bootstrap, topic)
    equal(found["retention.ms"].value, "123456", "retention.ms as created")
    check(not found["retention.ms"].is_default, "retention.ms is not a default")
    check(found["cleanup.policy"].value == "delete", "cleanup.policy has its default")
    for name in ("max.message.bytes", "segment.bytes", "message.timestamp.type",
                 "min.insync.replicas", "compression.type", "retention.bytes"):
        check(name in found, f"{name} is described")

    def change(name, operation, value=None):
        entry = ConfigEntry(name, value, incremental_operation=operation)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        return admin(bootstrap).incremental_alter_configs([resource])[resource]

    change("retention.ms", AlterConfigOpType.SET, "777").result(20)
    change("cleanup.policy", AlterConfigOpType.APPEND, "compact").result(20)
    found = settings_of(bootstrap, topic)
    equal(found["retention.ms"].value, "777", "retention.ms after SET")
    equal(set(found["cleanup.policy"].value.split(",")), {"compact", "delete"}, "after APPEND")
    change("cleanup.policy", AlterConfigOpType.SUBTRACT, "delete").result(20)
    change("retention.ms", AlterConfigOpType.DELETE).result(20)
    found = settings_of(bootstrap, topic)
    equal(found["cleanup.policy"].value, "compact", "after SUBTRACT")
    check(found["retention.ms"].is_default, "retention.ms is a default after DELETE")
    refused(change("no.such.config", AlterConfigOpType.SET, "1"), KafkaError.INVALID_CONFIG)
    refused(change("segment.bytes", AlterConfigOpType.SET, "-7"), KafkaError.INVALID_CONFIG)
    equal(settings_of(bootstrap, topic)["cleanup.policy"].value, "compact", "untouched by refusals")


@case("alter-configs")
def alter_configs(bootstrap):
    """The older call replaces the whole set: what is not named goes back to its default."""
    topic = create_topic(bootstrap, retention_ms=123_456)
    resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"max.message.bytes": "50000"})
    admin(bootstrap).alter_configs([resource])[resource].result(20)
    found = settings_of(bootstrap, topic)
    equal(found["max.message.bytes"].value, "50000", "max.message.bytes")
    check(found["retention.ms"].is_default, "retention.ms is a default again")


@case("broker-configs")
def broker_configs(bootstrap):
    resource = ConfigResource(ResourceType.BROKER, "1")
    found = admin(bootstrap).describe_configs([resource])[resource].result(20)
    check(len(found) > 3, "a broker describes its configuration")


@case("create-partitions")
def create_partitions(bootstrap):
    topic = create_topic(bootstrap, partitions=2)
    handle = admin(bootstrap)
    handle.create_partitions([NewPartitions(topic, 5)])[topic].result(20)
    wait_for(lambda: len(handle.list_topics(topic, timeout=10).topics[topic].partitions) == 5,
             "five partitions")
    refused(handle.create_partitions([NewPartitions(topic, 3)])[topic],
            KafkaError.INVALID_PARTITIONS)
    source = producer(bootstrap)
    send(source, topic, [dict(value=b"v", partition=n) for n in range(5)])
    equal(len(read_topic(bootstrap, topic, 5, partitions=5)), 5, "messages in all partitions")


@case("delete-topics")
def delete_topics(bootstrap):
    topic = create_topic(bootstrap)
    send(producer(bootstrap), topic, [dict(value=b"old")] * 3)
    handle = admin(bootstrap)
    handle.delete_topics([topic])[topic].result(20)
    check(topic not in handle.list_topics(timeout=10).topics, "the topic is gone")
    absent = unique("absent")
    refused(handle.delete_topics([absent])[absent], KafkaError.UNKNOWN_TOPIC_OR_PART)
    create_topic(bootstrap, name=topic)
    send(producer(bootstrap), topic, [dict(value=b"new")])
    equal([m.value() for m in read_topic(bootstrap, topic, 1)], [b"new"], "a topic made anew is empty")


@case("delete-records")
def delete_records(bootstrap):
    topic = create_topic(bootstrap, partitions=2)
    send(producer(bootstrap), topic, [dict(value=b"%d" % n, partition=0) for n in range(100)])
    handle = admin(bootstrap)
    place = TopicPartition(topic, 0, 60)
    equal(handle.delete_records([place])[place].result(20).low_watermark, 60, "low watermark")
    equal(read_topic(bootstrap, topic, 40, partitions=2)[0].offset(), 60, "the first that is left")
    check_handle = consumer(bootstrap)
    equal(check_handle.get_watermark_offsets(place, 10), (60, 100), "watermarks")
    check_handle.close()
    beyond = TopicPartition(topic, 0, 101)
    refused(handle.delete_records([beyond])[beyond], KafkaError.OFFSET_OUT_OF_RANGE)
    everything = TopicPartition(topic, 0, -1)
    equal(handle.delete_records([everything])[everything].result(20).low_watermark, 100, "all")


@case("list-offsets")
def list_offsets(bootstrap):
    topic = create_topic(bootstrap)
    send(producer(bootstrap), topic, [
        dict(value=b"v", timestamp=1_700_000_000_000 + n) for n in (0, 50, 20)])
    place = TopicPartition(topic, 0)

    def offset(spec):
        return admin(bootstrap).list_offsets({place: spec})[place].result(20).offset

    equal(offset(OffsetSpec.earliest()), 0, "earliest")
    equal(offset(OffsetSpec.latest()), 3, "latest")
    equal(offset(OffsetSpec.max_timestamp()), 1, "the one with the greatest timestamp")
    equal(offset(OffsetSpec.for_timestamp(1_700_000_000_010)), 1, "for a timestamp")


def working_group(bootstrap, topic):
    group = unique("group")
    member = consumer(bootstrap, group, client_id="the-member", session_timeout_ms=6_000)
    member.subscribe([topic])
    wait_assigned([member], 2, "the member has both partitions")
    return group, member


@case("groups")
def groups(bootstrap):
    topic, handle = create_topic(bootstrap, partitions=2), admin(bootstrap)
    send(producer(bootstrap), topic, [dict(value=b"v", partition=n % 2) for n in range(20)])
    group, member = working_group(bootstrap, topic)
    listed = {g.group_id: g for g in handle.list_consumer_groups().result(20).valid}
    equal(listed[group].state, ConsumerGroupState.STABLE, "state in the list")
    found = handle.describe_consumer_groups([group])[group].result(20)
    equal(found.state, ConsumerGroupState.STABLE, "state")
    equal(found.partition_assignor, "range", "assignor")
    equal([m.client_id for m in found.members], ["the-member"], "members")
    equal(sorted(p.partition for p in found.members[0].assignment.topic_partitions), [0, 1],
          "the member's assignment")
    refused(handle.delete_consumer_groups([group])[group], KafkaError.NON_EMPTY_GROUP)
    poll_all(member, 20)
    member.commit(asynchronous=False)
    member.close()
    found = handle.describe_consumer_groups([group])[group].result(20)
    equal(found.state, ConsumerGroupState.EMPTY, "state after the last member left")
    empty = handle.list_consumer_groups(states={ConsumerGroupState.EMPTY}).result(20).valid
    check(group in {g.group_id for g in empty}, "listed by state")
    handle.delete_consumer_groups([group])[group].result(20)
    check(group not in {g.group_id for g in handle.list_consumer_groups().result(20).valid}, "gone")
    absent = unique("absent")
    refused(handle.delete_consumer_groups([absent])[absent], KafkaError.GROUP_ID_NOT_FOUND)


@case("group-offsets")
def group_offsets(bootstrap):
    topic, handle = create_topic(bootstrap, partitions=2), admin(bootstrap)
    send(producer(bootstrap), topic, [dict(value=b"v", partition=n % 2) for n in range(20)])
    group, member = working_group(bootstrap, topic)
    move = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 3)])
    poll_all(member, 20)
    member.commit(asynchronous=False)
    found = handle.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)])[group].result(20)
    equal({(p.partition, p.offset) for p in found.topic_partitions}, {(0, 10), (1, 10)}, "offsets")
    outcome = handle.alter_consumer_group_offsets([move])[group]
    try:
        refusals = [p.error for p in outcome.result(20).topic_partitions if p.error]
        check(refusals, "offsets of a group at work were moved")
    except KafkaException as error:
        check(error.args[0].code() in (
            KafkaError.UNKNOWN_MEMBER_ID, KafkaError.NON_EMPTY_GROUP), f"{error}")
    member.close()
    moved = handle.alter_consumer_group_offsets([move])[group].result(20)
    equal([p.error for p in moved.topic_partitions], [None], "errors of the move")
    again = consumer(bootstrap, group)
    equal(again.committed([TopicPartition(topic, 0)], 10)[0].offset, 3, "the moved offset")
    again.subscribe([topic])
    equal(len(poll_all(again, 7)), 7, "messages after the move")
    again.close()


@case("describe-cluster")
def describe_cluster(bootstrap):
    found = admin(bootstrap).describe_cluster().result(20)
    equal([(n.id, f"{n.host}:{n.port}") for n in found.nodes], [(1, bootstrap)], "nodes")
    equal(found.controller.id, 1, "controller")
    check(found.cluster_id, "a cluster id")


if __name__ == "__main__":
    main()
