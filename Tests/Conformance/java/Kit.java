import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Short forms for topics, producers and consumers. */
final class Kit {
    private Kit() {}

    static String unique(String name) {
        return name + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    private static Properties properties(String bootstrap, Object... settings) {
        Properties all = new Properties();
        all.put("bootstrap.servers", bootstrap);
        all.put("reconnect.backoff.max.ms", "250");
        for (int i = 0; i < settings.length; i += 2) {
            all.put(settings[i], String.valueOf(settings[i + 1]));
        }
        return all;
    }

    static Admin admin(String bootstrap) {
        return Admin.create(properties(bootstrap));
    }

    static <T> T get(Future<T> future) throws Exception {
        return future.get(Conformance.WAIT_MS, TimeUnit.MILLISECONDS);
    }

    static String createTopic(String bootstrap, int partitions, String... configs)
        throws Exception {
        String name = unique("topic");
        Map<String, String> settings = new java.util.HashMap<>();
        for (int i = 0; i < configs.length; i += 2) {
            settings.put(configs[i], configs[i + 1]);
        }
        try (Admin admin = admin(bootstrap)) {
            NewTopic topic = new NewTopic(name, partitions, (short) 1).configs(settings);
            get(admin.createTopics(List.of(topic)).all());
        }
        return name;
    }

    static KafkaProducer<byte[], byte[]> producer(String bootstrap, Object... settings) {
        return new KafkaProducer<>(
            properties(bootstrap, settings), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, Object... settings) {
        Properties all = properties(bootstrap, settings);
        all.putIfAbsent("auto.offset.reset", "earliest");
        all.putIfAbsent("enable.auto.commit", "false");
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static ProducerRecord<byte[], byte[]> record(String topic, Integer partition, int number) {
        return new ProducerRecord<>(topic, partition, null, bytes(number));
    }

    static byte[] bytes(int number) {
        return Integer.toString(number).getBytes();
    }

    static int number(ConsumerRecord<byte[], byte[]> record) {
        return Integer.parseInt(new String(record.value()));
    }

    /** Sends all, waits for every acknowledgement, and returns where the records went. */
    static List<RecordMetadata> send(
        String bootstrap, List<ProducerRecord<byte[], byte[]>> records, Object... settings)
        throws Exception {
        List<RecordMetadata> places = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = producer(bootstrap, settings)) {
            List<Future<RecordMetadata>> futures = records.stream().map(producer::send).toList();
            producer.flush();
            for (Future<RecordMetadata> future : futures) {
                places.add(get(future));
            }
        }
        return places;
    }

    /** The numbers from `start`, spread over the partitions. */
    static List<ProducerRecord<byte[], byte[]>> numbers(
        String topic, int partitions, int start, int count) {
        return IntStream.range(start, start + count)
            .mapToObj(n -> record(topic, n % partitions, n)).toList();
    }

    static List<TopicPartition> places(String topic, int partitions) {
        return IntStream.range(0, partitions).mapToObj(n -> new TopicPartition(topic, n)).toList();
    }

    static List<ConsumerRecord<byte[], byte[]>> take(
        KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
        long end = System.nanoTime() + Conformance.WAIT_MS * 1_000_000;
        while (found.size() < count) {
            Conformance.check(System.nanoTime() < end, found.size() + " of " + count + " messages");
            consumer.poll(Duration.ofMillis(200)).forEach(found::add);
        }
        return found;
    }

    static List<ConsumerRecord<byte[], byte[]>> read(
        String bootstrap, String topic, int partitions, int count, Object... settings) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, settings)) {
            consumer.assign(places(topic, partitions));
            consumer.seekToBeginning(List.of());
            List<ConsumerRecord<byte[], byte[]>> found = take(consumer, count);
            Conformance.equal(found.size(), count, "number of messages");
            return found;
        }
    }
}
