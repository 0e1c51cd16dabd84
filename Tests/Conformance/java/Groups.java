import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;

/** Consumer groups (the classic protocol). */
final class Groups {
    private Groups() {}

    static void register() {
        Conformance.add("group-of-4-range", null, 90,
            b -> fourMembers(b, RangeAssignor.class.getName()));
        Conformance.add("group-of-4-cooperative", null, 90,
            b -> fourMembers(b, CooperativeStickyAssignor.class.getName()));
        Conformance.add("static-member-restarts-without-rebalance", Groups::staticMember);
        Conformance.add("commit-restart-resume", null, 90, Groups::commitAndResume);
    }

    /** A group member on a thread of its own. */
    static final class Member extends Thread {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Queue<Integer> seen;
        volatile Set<TopicPartition> share = Set.of();
        volatile boolean leaving;
        volatile Throwable failure;
        volatile int assignments;

        Member(String bootstrap, String group, String topic, Queue<Integer> seen, Object... more) {
            List<Object> settings = new ArrayList<>(List.of(
                "group.id", group, "heartbeat.interval.ms", 500, "max.poll.records", 10_000));
            settings.addAll(List.of(more));
            this.consumer = Kit.consumer(bootstrap, settings.toArray());
            this.seen = seen;
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> revoked) {}

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
                    assignments++;
                }
            });
            setDaemon(true);
            start();
        }

        @Override
        public void run() {
            try (consumer) {
                while (!leaving) {
                    var batch = consumer.poll(Duration.ofMillis(50));
                    for (ConsumerRecord<byte[], byte[]> record : batch) {
                        seen.add(Kit.number(record));
                    }
                    if (!batch.isEmpty()) {
                        commit();
                    }
                    share = Set.copyOf(consumer.assignment());
                }
            } catch (Throwable error) {
                failure = error;
            }
        }

        /** With the cooperative protocol a commit may meet a rebalance: the next one covers it. */
        private void commit() {
            try {
                consumer.commitSync();
            } catch (RebalanceInProgressException error) {
                // What was read stays this member's until it polls again.
            }
        }

        void leave() throws InterruptedException {
            leaving = true;
            join(Conformance.WAIT_MS);
            Conformance.check(failure == null, "a member failed: " + failure);
        }
    }

    static void waitBalanced(List<Member> members, int partitions, String what) throws Exception {
        Conformance.waitFor(what, () -> {
            Set<TopicPartition> union = new HashSet<>();
            int sum = 0;
            for (Member member : members) {
                Conformance.check(member.failure == null, "a member failed: " + member.failure);
                Set<TopicPartition> share = member.share;
                if (share.isEmpty()) {
                    return false;
                }
                union.addAll(share);
                sum += share.size();
            }
            return sum == partitions && union.size() == partitions;
        });
    }

    static void fill(String bootstrap, String topic, int partitions, int start, Queue<Integer> seen)
        throws Exception {
        Kit.send(bootstrap, Kit.numbers(topic, partitions, start, 1_200));
        Conformance.waitFor("all messages at some member", () -> seen.size() >= start + 1_200);
    }

    static void fourMembers(String bootstrap, String assignor) throws Exception {
        String topic = Kit.createTopic(bootstrap, 12);
        String group = Kit.unique("group");
        String key = "partition.assignment.strategy";
        Queue<Integer> seen = new ConcurrentLinkedQueue<>();
        List<Member> members = new ArrayList<>();
        for (int n = 0; n < 4; n++) {
            members.add(new Member(bootstrap, group, topic, seen, key, assignor));
        }
        waitBalanced(members, 12, "four members share");
        fill(bootstrap, topic, 12, 0, seen);
        members.remove(3).leave();
        waitBalanced(members, 12, "three members share");
        fill(bootstrap, topic, 12, 1_200, seen);
        members.add(new Member(bootstrap, group, topic, seen, key, assignor));
        waitBalanced(members, 12, "the newcomer has a share");
        fill(bootstrap, topic, 12, 2_400, seen);
        for (Member member : members) {
            member.leave();
        }
        Conformance.equal(seen.size(), 3_600, "messages");
        Conformance.equal(new TreeSet<>(seen),
            new TreeSet<>(IntStream.range(0, 3_600).boxed().toList()), "each message once");
    }

    static void staticMember(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 6);
        String group = Kit.unique("group");
        Queue<Integer> seen = new ConcurrentLinkedQueue<>();
        Member stays = new Member(bootstrap, group, topic, seen, "group.instance.id", "a");
        Member restarts = new Member(bootstrap, group, topic, seen, "group.instance.id", "b");
        waitBalanced(List.of(stays, restarts), 6, "two members share");
        Set<TopicPartition> share = restarts.share;
        int before = stays.assignments;
        restarts.leave();
        Member again = new Member(bootstrap, group, topic, seen, "group.instance.id", "b");
        waitBalanced(List.of(stays, again), 6, "the restarted member is back");
        Conformance.equal(again.share, share, "the same partitions as before");
        Conformance.equal(stays.assignments, before, "assignments of the other member");
        stays.leave();
        again.leave();
    }

    static void commitAndResume(String bootstrap) throws Exception {
        String topic = Kit.createTopic(bootstrap, 1);
        String group = Kit.unique("group");
        TopicPartition place = new TopicPartition(topic, 0);
        Kit.send(bootstrap, Kit.numbers(topic, 1, 0, 100));
        int next = 0;
        for (String action : List.of("kill", "stop", "")) {
            try (KafkaConsumer<byte[], byte[]> member =
                    Kit.consumer(bootstrap, "group.id", group, "max.poll.records", 30)) {
                member.subscribe(List.of(topic));
                Conformance.equal(Kit.number(Kit.take(member, 30).get(0)), next, "the next message");
                next += 30;
                member.commitSync(Map.of(place, new OffsetAndMetadata(next, "note " + next)));
                Conformance.equal(member.committed(Set.of(place)).get(place),
                    new OffsetAndMetadata(next, "note " + next), "committed");
            }
            if (!action.isEmpty()) {
                Conformance.broker(action);
                Conformance.broker("start");
            }
        }
    }
}
