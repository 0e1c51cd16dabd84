"""Topics that end: nobody serves them after the answer, and nothing of them stays."""

import shutil
import threading
import time

import cases
import leaders
import wire
from broker import wait_until
from cases import QUIET, Administrator, case, check
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from kafka.protocol.producer import ProduceRequest, ProduceResponse
from mesh import Mesh
from networks import Network
from operating import ask
from replicas import await_in_sync, create_replicated
from roles import await_voters


def sizes(broker):
    """How many registers this voter holds, and how many keys its table."""
    voters = ask(broker, "paxos", "stats")["brokers"]
    tables = ask(broker, "gossip", "stats")["brokers"]
    registers = next(row for row in voters if row["nodeId"] == broker.node_id)
    table = next(row for row in tables if row["nodeId"] == broker.node_id)
    return registers["counters"]["registers"], table["stats"]["gossip"]["tableEntries"]


@case
def registers_of_deleted_topics_go(stage):
    """200 topics of 10 partitions are made and deleted: voters and tables are as before."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        admin = Administrator(mesh[1])
        before = [sizes(mesh[node]) for node in (1, 2, 3)]
        names = [f"t{n}" for n in range(200)]
        for name in names:
            create_replicated(mesh[1], name, partitions=10, replicas=3)
        mesh.await_topic(names[-1])
        full = sizes(mesh[1])
        begin = time.monotonic()
        for name in names:
            Administrator(mesh[2]).delete(name)
        took = time.monotonic() - begin

        last = [None]

        def swept():
            last[0] = [sizes(mesh[node]) for node in (1, 2, 3)]
            return all(one <= other + 3 for row, old in zip(last[0], before)
                       for one, other in zip(row, old))

        wait_until(swept, 90, "the registers to go", 1)
        gone = time.monotonic() - begin
        admin.create("t0", 1)
        mesh.await_topic("t0")
    return (f"registers and keys {before[0]} before, {full} with 200 topics, {last[0][0]} after; "
            f"deleted in {took:.1f} s, swept {gone - took:.0f} s later")


def produce_to_leader(broker, topic_id):
    """One record with acks=1, by the topic's id; the error code."""
    topic = ProduceRequest.TopicProduceData
    answer = leaders.ask(broker, ProduceRequest(
        transactional_id=None, acks=1, timeout_ms=1_000, topic_data=[topic(
            topic_id=topic_id, partition_data=[topic.PartitionProduceData(
                index=0, records=wire.batch([b"late"]))])]), ProduceResponse, 13)
    return answer.responses[0].partition_responses[0].error_code


class Prober(threading.Thread):
    """Writes to one broker as fast as it answers; when each answer was an acknowledgement."""

    def __init__(self, broker, topic_id):
        super().__init__(daemon=True)
        self.broker, self.topic_id = broker, topic_id
        self.acknowledged, self.stopped = [], threading.Event()

    def run(self):
        while not self.stopped.is_set():
            try:
                if produce_to_leader(self.broker, self.topic_id) == 0:
                    self.acknowledged.append(time.monotonic())
            except (OSError, cases.Failure):
                pass
            time.sleep(0.002)

    def stop(self):
        self.stopped.set()
        self.join(10)


@case
def a_leader_that_is_cut_off_never_acknowledges_a_deleted_topic(stage):
    """Cut off from the others and not from its client: nothing is acknowledged after the delete."""
    with Network(3) as network, network.mesh(stage) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[1], "doomed", partitions=1, replicas=3, min_insync_replicas=1)
        mesh.await_topic("doomed")
        leader = cases.metadata(mesh[2])[1]["doomed"][0][0]
        others = [node for node in (1, 2, 3) if node != leader]
        prober = Prober(mesh[leader], leaders.topic_ids(mesh[leader])["doomed"])
        prober.start()
        wait_until(lambda: len(prober.acknowledged) > 50, 20, "its client to be served")
        for other in others:
            network.drop_from(leader, other)
            network.drop_from(other, leader)
        begin = time.monotonic()
        Administrator(mesh[others[0]]).delete("doomed")
        answered = time.monotonic()
        create_replicated(mesh[others[1]], "doomed", partitions=1, replicas=2)
        time.sleep(3)
        network.heal()
        mesh.await_agreement()
        time.sleep(3)
        prober.stop()
        until = sum(1 for at in prober.acknowledged if begin < at <= answered)
        late = [at - answered for at in prober.acknowledged if at > answered]
        check(not late, f"{len(late)} acknowledged after the answer, the last {late[-1:]} s later")
        check(until > 0, "it was served while it had its lease")
        ids = {node: leaders.topic_ids(mesh[node])["doomed"] for node in (1, 2, 3)}
        check(len(set(ids.values())) == 1, f"one topic of that name: {ids}")
        check(prober.topic_id not in ids.values(), "and another one than before")
        cases.publish(mesh[leader], "doomed", ["new"], 1)
    return (f"deleted {answered - begin:.2f} s after the cut; {until} acknowledged until then, "
            "none later")


@case
def a_leader_killed_after_deleting_records_leaves_its_start(stage):
    """DeleteRecords answers, the leader is killed at once: whoever leads next begins there too."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[1], "trimmed", partitions=1, replicas=3, min_insync_replicas=2)
        mesh.await_topic("trimmed")
        cases.publish(mesh[1], "trimmed", [f"v{n}" for n in range(20)], 1)
        starts = []
        for before in (5, 9, 14):
            leader = cases.metadata(mesh.running()[0])[1]["trimmed"][0][0]
            client = AdminClient({"bootstrap.servers": mesh[leader].bootstrap, **QUIET})
            place = TopicPartition("trimmed", 0, before)
            low = client.delete_records([place])[place].result(20).low_watermark
            mesh[leader].kill()
            check(low == before, f"the low watermark {low}")

            def next_leader():
                for broker in mesh.running():
                    now = cases.metadata(broker)[1]["trimmed"][0][0]
                    if now in (-1, leader):
                        return False
                return now

            now = wait_until(next_leader, 20, "another leader", 0.05)
            consumer = Consumer({"bootstrap.servers": mesh[now].bootstrap, "group.id": "g", **QUIET})

            def start():
                try:
                    return (consumer.get_watermark_offsets(TopicPartition("trimmed", 0), 20)[0],)
                except KafkaException:
                    return None  # It is named as the leader and does not lead yet.

            starts.append(wait_until(start, 20, "the start of the log", 0.1)[0])
            consumer.close()
            check(starts[-1] == before, f"{starts} after a deletion before {before}")
            mesh[leader].start()
            mesh.await_agreement()
            await_in_sync(mesh, "trimmed")
    return f"the log starts at {starts} after each kill"



@case
def topics_grow_with_the_mesh(stage):
    """Made by a mesh of one: three copies once there are three brokers, unless somebody chose."""
    with Mesh(3, stage.binary) as mesh:
        mesh.found()
        mesh[1].start()
        create_replicated(mesh[1], "default", partitions=4, replicas=-1)
        create_replicated(mesh[1], "single", partitions=4, replicas=1)
        for name in ("default", "single"):
            cases.publish(mesh[1], name, [f"v{n}" for n in range(40)], 4)
        begin = time.monotonic()
        mesh.start()
        await_in_sync(mesh, "default", deadline=60)
        took = time.monotonic() - begin
        await_in_sync(mesh, "single", copies=1)
        mesh[1].kill()
        got = sorted(cases.consume(mesh[2], "default", 40, deadline=30))
        check(got == sorted(f"v{n}" for n in range(40)), f"{len(got)} records without broker 1")
    return f"three copies of each partition {took:.1f} s after two brokers joined"


@case
def a_copy_that_lost_its_logs_leads_nothing(stage):
    """All stopped in order, the leader's logs removed: the others hold everything, so they lead."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[1], "kept", partitions=3, replicas=3, min_insync_replicas=2)
        mesh.await_topic("kept")
        values = [f"v{n}" for n in range(60)]
        cases.publish(mesh[1], "kept", values, 3)
        await_in_sync(mesh, "kept")
        check(set(mesh.stop()) == {0}, "an orderly stop")
        shutil.rmtree(mesh[1].data / "logs")
        mesh.start()
        await_in_sync(mesh, "kept", deadline=60)
        got = sorted(cases.consume(mesh[1], "kept", 60, deadline=30))
        check(got == sorted(values), f"{len(got)} records of 60")
    return "60 of 60 records, and three copies in sync again"
