"""Administration through kafka-python."""

from kafka import TopicPartition, errors
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.structs import OffsetAndMetadata

from harness import case, check, equal, main, wait_for
from kafka_python_common import Member, admin, create_topic, send, unique


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


if __name__ == "__main__":
    main()
