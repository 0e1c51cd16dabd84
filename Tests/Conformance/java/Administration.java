import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Administration through the Java Admin client. */
final class Administration {
    private Administration() {}

    static void register() {
        Conformance.add("admin-topics", Administration::topics);
        Conformance.add("admin-configs", Administration::configs);
        Conformance.add("admin-records-and-offsets", Administration::records);
        Conformance.add("admin-groups", Administration::groups);
        Conformance.add("admin-cluster", Administration::cluster);
    }

    static void refused(Future<?> future, Class<?> expected) throws Exception {
        try {
            Kit.get(future);
        } catch (ExecutionException error) {
            Conformance.equal(error.getCause().getClass(), expected, "" + error.getCause());
            return;
        }
        throw new AssertionError("expected " + expected + ", got success");
    }

    static void topics(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 2);
        try (Admin admin = Kit.admin(bootstrap)) {
            refused(admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all(),
                TopicExistsException.class);
            TopicDescription found =
                Kit.get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
            Conformance.equal(found.partitions().size(), 2, "partitions");
            Conformance.check(!found.topicId().equals(Uuid.ZERO_UUID), "a topic id");
            Uuid id = found.topicId();
            Conformance.equal(
                Kit.get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds())
                    .get(id).name(), topic, "described by id");
            Kit.get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
            refused(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all(),
                InvalidPartitionsException.class);
            Conformance.equal(
                Kit.get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic)
                    .partitions().size(), 5, "partitions");
            Kit.get(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
            Conformance.check(!Kit.get(admin.listTopics().names()).contains(topic), "gone");
            refused(admin.deleteTopics(List.of(topic)).all(),
                UnknownTopicOrPartitionException.class);
        }
    }

    static void configs(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1, "retention.ms", "1234");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (Admin admin = Kit.admin(bootstrap)) {
            ConfigEntry entry = describe(admin, resource).get("retention.ms");
            Conformance.equal(entry.value(), "1234", "retention.ms");
            Conformance.equal(entry.source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "from");
            Kit.get(admin.incrementalAlterConfigs(Map.of(resource, List.of(
                change("retention.ms", null, AlterConfigOp.OpType.DELETE),
                change("max.message.bytes", "70000", AlterConfigOp.OpType.SET)))).all());
            Config found = describe(admin, resource);
            Conformance.equal(found.get("max.message.bytes").value(), "70000", "after SET");
            Conformance.check(found.get("retention.ms").isDefault(), "after DELETE");
            refused(admin.incrementalAlterConfigs(Map.of(resource, List.of(
                change("retention.ms", "never", AlterConfigOp.OpType.SET)))).all(),
                InvalidConfigurationException.class);
        }
    }

    static AlterConfigOp change(String name, String value, AlterConfigOp.OpType operation) {
        return new AlterConfigOp(new ConfigEntry(name, value), operation);
    }

    static Config describe(Admin admin, ConfigResource resource) throws Exception {
        return Kit.get(admin.describeConfigs(List.of(resource)).all()).get(resource);
    }

    static void records(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        TopicPartition place = new TopicPartition(topic, 0);
        List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();
        for (long stamp : new long[] {100, 300, 200}) {
            sent.add(new ProducerRecord<>(
                topic, 0, 1_700_000_000_000L + stamp, null, new byte[10]));
        }
        Kit.send(bootstrap, sent);
        try (Admin admin = Kit.admin(bootstrap)) {
            Conformance.equal(offset(admin, place, OffsetSpec.earliest()), 0L, "earliest");
            Conformance.equal(offset(admin, place, OffsetSpec.latest()), 3L, "latest");
            Conformance.equal(offset(admin, place, OffsetSpec.maxTimestamp()), 1L, "max timestamp");
            Conformance.equal(
                offset(admin, place, OffsetSpec.forTimestamp(1_700_000_000_150L)), 1L, "by time");
            Conformance.equal(
                Kit.get(admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(2)))
                    .lowWatermarks().get(place)).lowWatermark(), 2L, "low watermark");
            Conformance.equal(offset(admin, place, OffsetSpec.earliest()), 2L, "earliest now");
            refused(admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(9))).all(),
                OffsetOutOfRangeException.class);
        }
    }

    static long offset(Admin admin, TopicPartition place, OffsetSpec spec) throws Exception {
        return Kit.get(admin.listOffsets(Map.of(place, spec)).partitionResult(place)).offset();
    }

    static void groups(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 2);
        String group = Kit.unique("group");
        TopicPartition place = new TopicPartition(topic, 0);
        Queue<Integer> seen = new ConcurrentLinkedQueue<>();
        Kit.send(bootstrap, Kit.numbers(topic, 2, 0, 20));
        Groups.Member member = new Groups.Member(bootstrap, group, topic, seen);
        Conformance.waitFor("all messages", () -> seen.size() == 20);
        try (Admin admin = Kit.admin(bootstrap)) {
            ConsumerGroupDescription found =
                Kit.get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
            Conformance.equal(found.groupState(), GroupState.STABLE, "state");
            Conformance.equal(found.members().size(), 1, "members");
            refused(admin.deleteConsumerGroups(List.of(group)).all(), GroupNotEmptyException.class);
            member.leave();
            Conformance.equal(
                Kit.get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata())
                    .get(place).offset(), 10L, "committed");
            Kit.get(admin.alterConsumerGroupOffsets(
                group, Map.of(place, new OffsetAndMetadata(4))).all());
            Conformance.equal(
                Kit.get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata())
                    .get(place).offset(), 4L, "moved");
            Kit.get(admin.deleteConsumerGroupOffsets(group, Set.of(place)).all());
            Collection<GroupListing> listed = Kit.get(admin.listGroups().all());
            Conformance.check(
                listed.stream().anyMatch(g -> g.groupId().equals(group)), "listed: " + listed);
            Kit.get(admin.deleteConsumerGroups(List.of(group)).all());
            Conformance.check(Kit.get(admin.listGroups().all()).stream()
                .noneMatch(g -> g.groupId().equals(group)), "gone");
        }
    }

    static void cluster(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        TopicPartition place = new TopicPartition(topic, 0);
        Kit.send(bootstrap, List.of(new ProducerRecord<>(topic, 0, null, new byte[50_000])));
        try (Admin admin = Kit.admin(bootstrap)) {
            Node node = Kit.get(admin.describeCluster().nodes()).iterator().next();
            Conformance.equal(node.id() + " " + node.host() + ":" + node.port(), "1 " + bootstrap,
                "the node");
            Conformance.check(Kit.get(admin.describeCluster().clusterId()) != null, "cluster id");
            long size = Kit.get(admin.describeLogDirs(List.of(1)).allDescriptions()).get(1).values()
                .stream().mapToLong(d -> d.replicaInfos().get(place).size()).sum();
            Conformance.check(size >= 50_000, "size of the log: " + size);
            Conformance.equal(
                Kit.get(admin.describeProducers(List.of(place)).all()).get(place)
                    .activeProducers().size(), 1, "idempotent producers");
        }
    }
}
