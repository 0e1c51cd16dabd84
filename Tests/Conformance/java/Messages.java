import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;

/** Messages in and out. */
final class Messages {
    private Messages() {}

    static void register() {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Conformance.add("codec-" + codec, bootstrap -> codec(bootstrap, codec));
        }
        Conformance.add("headers-keys-empty-null", Messages::shapes);
        Conformance.add("large-5-mb", Messages::large);
        Conformance.add("too-large-is-refused", Messages::tooLarge);
        Conformance.add("timestamps", Messages::timestamps);
        Conformance.add("partitions-50-with-fetch-sessions", Messages::fetchSessions);
        Conformance.add("seek-by-time", Messages::seekByTime);
        Conformance.add("positions-and-reset", Messages::positions);
        Conformance.add("idempotent-across-sigkill", null, 90, b -> idempotent(b, "kill"));
        Conformance.add("idempotent-across-sigterm", null, 90, b -> idempotent(b, "stop"));
        Conformance.add("topic-made-anew-while-consumed", Messages::madeAnew);
        Conformance.add("auto-create", Messages::autoCreate);
        Conformance.add(
            "unknown-topic-is-refused", Conformance.NO_AUTO_CREATE, 60, Messages::unknownTopic);
    }

    static void codec(String bootstrap, String codec) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        String filler = "abcdefgh".repeat(20);
        List<ProducerRecord<byte[], byte[]>> records = IntStream.range(0, 2_000).mapToObj(n ->
            new ProducerRecord<byte[], byte[]>(topic, 0, ("k" + n).getBytes(),
                (n + filler).getBytes(), List.of(new RecordHeader("n", Kit.bytes(n))))).toList();
        Kit.send(bootstrap, records, "compression.type", codec, "linger.ms", 20);
        int n = 0;
        for (ConsumerRecord<byte[], byte[]> found : Kit.read(bootstrap, topic, 1, 2_000)) {
            Conformance.equal(new String(found.key()), "k" + n, "key");
            Conformance.equal(new String(found.value()), n + filler, "value");
            Conformance.equal(new String(found.headers().lastHeader("n").value()), "" + n, "header");
            Conformance.equal(found.offset(), (long) n++, "offset");
        }
    }

    static void shapes(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        List<Header> headers = List.of(
            new RecordHeader("a", "1".getBytes()), new RecordHeader("a", "2".getBytes()),
            new RecordHeader("empty", new byte[0]), new RecordHeader("null", (byte[]) null),
            new RecordHeader("größe", "✓".getBytes(UTF_8)));
        byte[] key = {1};
        Kit.send(bootstrap, List.of(
            new ProducerRecord<>(topic, 0, key, new byte[] {7}, headers),
            new ProducerRecord<>(topic, 0, new byte[0], new byte[0]),
            new ProducerRecord<>(topic, 0, key, null),
            new ProducerRecord<>(topic, 0, null, new byte[] {8})));
        List<ConsumerRecord<byte[], byte[]>> found = Kit.read(bootstrap, topic, 1, 4);
        Conformance.equal(Arrays.asList(found.get(0).headers().toArray()), headers, "headers");
        Conformance.equal(found.get(1).key().length, 0, "an empty key");
        Conformance.equal(found.get(1).value().length, 0, "an empty value");
        Conformance.equal(found.get(2).value(), null, "a null value");
        Conformance.equal(found.get(3).key(), null, "a null key");
    }

    static void large(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1, "max.message.bytes", "6291456");
        byte[] small = new byte[900_000];
        byte[] big = new byte[5_000_000];
        Arrays.fill(small, (byte) 3);
        Arrays.fill(big, (byte) 4);
        Kit.send(
            bootstrap,
            List.of(new ProducerRecord<>(topic, small), new ProducerRecord<>(topic, big)),
            "max.request.size", 6_291_456);
        List<ConsumerRecord<byte[], byte[]>> found = Kit.read(bootstrap, topic, 1, 2);
        Conformance.check(Arrays.equals(found.get(0).value(), small), "900 KB");
        Conformance.check(Arrays.equals(found.get(1).value(), big), "5 MB");
    }

    static void tooLarge(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        try {
            Kit.send(bootstrap, List.of(new ProducerRecord<>(topic, new byte[3_000_000])),
                "max.request.size", 6_291_456);
            Conformance.check(false, "3 MB were acknowledged");
        } catch (ExecutionException error) {
            Conformance.check(error.getCause() instanceof RecordTooLargeException, "" + error);
        }
    }

    static void timestamps(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        Kit.send(bootstrap, List.of(
            new ProducerRecord<byte[], byte[]>(topic, 0, 1_600_000_000_123L, null, new byte[1])));
        ConsumerRecord<byte[], byte[]> found = Kit.read(bootstrap, topic, 1, 1).get(0);
        Conformance.equal(found.timestampType(), TimestampType.CREATE_TIME, "type");
        Conformance.equal(found.timestamp(), 1_600_000_000_123L, "create time");
        String stamped =
            Kit.createTopic(bootstrap, 1, "message.timestamp.type", "LogAppendTime");
        long before = System.currentTimeMillis();
        RecordMetadata place = Kit.send(bootstrap, List.of(
            new ProducerRecord<byte[], byte[]>(stamped, 0, 5L, null, new byte[1]))).get(0);
        found = Kit.read(bootstrap, stamped, 1, 1).get(0);
        Conformance.equal(found.timestampType(), TimestampType.LOG_APPEND_TIME, "type");
        Conformance.equal(found.timestamp(), place.timestamp(), "the time that the producer got");
        Conformance.check(found.timestamp() >= before - 1, "log-append time is now");
    }

    /** Incremental fetch sessions: many idle partitions, one that wakes, some paused. */
    /** A session by topic id goes over to the new topic of the name, from its begin. */
    static void madeAnew(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        Kit.send(bootstrap, Kit.numbers(topic, 1, 0, 5));
        try (KafkaConsumer<byte[], byte[]> consumer = Kit.consumer(bootstrap);
            Admin admin = Kit.admin(bootstrap)) {
            consumer.assign(Kit.places(topic, 1));
            Conformance.equal(Kit.take(consumer, 5).size(), 5, "messages of the old topic");
            Kit.get(admin.deleteTopics(List.of(topic)).all());
            Kit.get(admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all());
            Kit.send(bootstrap, Kit.numbers(topic, 1, 100, 3));
            int expected = 100;
            for (ConsumerRecord<byte[], byte[]> found : Kit.take(consumer, 3)) {
                Conformance.equal(Kit.number(found), expected++, "a number of the new topic");
            }
        }
    }

    static void fetchSessions(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 50);
        Kit.send(bootstrap, Kit.numbers(topic, 50, 0, 5_000));
        try (KafkaConsumer<byte[], byte[]> consumer = Kit.consumer(bootstrap)) {
            List<TopicPartition> all = Kit.places(topic, 50);
            consumer.assign(all);
            boolean[] seen = new boolean[5_010];
            int total = 0;
            for (int turn = 0; turn <= 10; turn++) {
                int count = turn == 0 ? 5_000 : 1;
                for (ConsumerRecord<byte[], byte[]> found : Kit.take(consumer, count)) {
                    int n = Kit.number(found);
                    Conformance.check(!seen[n], n + " came twice");
                    seen[n] = true;
                    total++;
                }
                if (turn < 10) {
                    Kit.send(bootstrap, List.of(Kit.record(topic, turn * 7 % 50, total)));
                }
            }
            Conformance.equal(total, 5_010, "messages");
            consumer.pause(all.subList(0, 25));
            Kit.send(bootstrap, List.of(Kit.record(topic, 3, 1), Kit.record(topic, 40, 2)));
            Conformance.equal(Kit.take(consumer, 1).get(0).partition(), 40, "what is not paused");
            consumer.resume(all.subList(0, 25));
            Conformance.equal(Kit.take(consumer, 1).get(0).partition(), 3, "what was paused");
        }
    }

    static void seekByTime(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        long base = 1_700_000_000_000L;
        Kit.send(bootstrap, IntStream.range(0, 1_000).mapToObj(n ->
            new ProducerRecord<byte[], byte[]>(topic, 0, base + 10L * n, null, Kit.bytes(n)))
            .toList(), "batch.size", 2_000);
        TopicPartition place = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = Kit.consumer(bootstrap)) {
            long[][] expected = {{-1, 0}, {0, 0}, {5_550, 555}, {5_551, 556}, {9_990, 999}};
            for (long[] row : expected) {
                Conformance.equal(
                    consumer.offsetsForTimes(Map.of(place, base + row[0])).get(place).offset(),
                    row[1], "offset at +" + row[0]);
            }
            Conformance.equal(
                consumer.offsetsForTimes(Map.of(place, base + 9_991)).get(place), null, "the end");
            consumer.assign(List.of(place));
            consumer.seek(place, 555);
            Conformance.equal(Kit.number(Kit.take(consumer, 1).get(0)), 555, "the message there");
        }
    }

    static void positions(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        Kit.send(bootstrap, Kit.numbers(topic, 1, 0, 100));
        TopicPartition place = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer =
                Kit.consumer(bootstrap, "isolation.level", "read_committed")) {
            Conformance.equal(consumer.beginningOffsets(List.of(place)).get(place), 0L, "start");
            Conformance.equal(consumer.endOffsets(List.of(place)).get(place), 100L, "end");
            consumer.assign(List.of(place));
            consumer.seek(place, 5_000);
            Conformance.equal(Kit.take(consumer, 1).get(0).offset(), 0L, "reset to the earliest");
            consumer.seekToEnd(List.of(place));
            Conformance.equal(consumer.position(place), 100L, "position at the end");
            Conformance.equal(consumer.currentLag(place).orElse(0), 0L, "lag at the end");
        }
    }

    static void idempotent(String bootstrap, String action) throws Exception {
        String topic = Kit.createTopic(bootstrap, 2);
        int total = 20_000;
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = Kit.producer(
                bootstrap, "enable.idempotence", true, "acks", "all", "retry.backoff.ms", 50,
                "linger.ms", 1)) {
            for (int n = 0; n < total; n++) {
                futures.add(producer.send(Kit.record(topic, n % 2, n)));
                if (n % 7_000 == 6_999) {
                    Conformance.broker(action);
                    Conformance.broker("start");
                }
            }
            producer.flush();
            for (int n = 0; n < total; n++) {
                Conformance.equal(Kit.get(futures.get(n)).offset(), (long) n / 2, "offset of " + n);
            }
        }
        int[] next = {0, 1};
        for (ConsumerRecord<byte[], byte[]> found : Kit.read(bootstrap, topic, 2, total)) {
            Conformance.equal(Kit.number(found), next[found.partition()], "the next message");
            next[found.partition()] += 2;
        }
    }

    static void autoCreate(String bootstrap) throws Exception {
        String topic = Kit.unique("auto");
        Conformance.equal(
            Kit.send(bootstrap, List.of(new ProducerRecord<>(topic, new byte[1]))).get(0).offset(),
            0L, "offset");
    }

    static void unknownTopic(String bootstrap) throws Exception {
        String topic = Kit.unique("absent");
        try {
            Kit.send(bootstrap, List.of(new ProducerRecord<>(topic, new byte[1])),
                "max.block.ms", 3_000);
            Conformance.check(false, "acknowledged");
        } catch (ExecutionException error) {
            Conformance.check(error.getCause() instanceof TimeoutException
                || error.getCause() instanceof UnknownTopicOrPartitionException, "" + error);
        }
        try (KafkaConsumer<byte[], byte[]> consumer = Kit.consumer(bootstrap)) {
            Conformance.check(!consumer.listTopics().containsKey(topic), "nothing was created");
        }
    }
}
