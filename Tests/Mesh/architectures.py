"""The architectures of cluster-configs/, started by their own scripts: what each of them is for."""

import re
import shutil
import signal
import subprocess
import time

import cases
from broker import track, wait_until
from cases import QUIET, case, check
from clusters import Cluster, Publisher

from confluent_kafka import Consumer, Producer, TopicPartition
from replicas import create_replicated


def placement(broker, topic):
    """{partition: (leader, replicas)} as one broker tells it, once it has heard of the topic."""
    client = cases.Administrator(broker).client
    wait_until(lambda: client.list_topics(topic, 10).topics[topic].partitions, 10, topic, 0.05)
    answer = client.list_topics(topic, 10)
    return {row.id: (row.leader, list(row.replicas))
            for row in answer.topics[topic].partitions.values()}


def leaders(broker, topic):
    """{partition: (leader, epoch)} as the registers say; Metadata names who is likely to be next."""
    rows = broker.ask("topic", key=topic)["partitions"]
    return {row["partition"]: (row.get("leader"), row["leaderEpoch"]) for row in rows}


def await_voters(cluster, names, voters):
    wait_until(lambda: all(sorted(cluster[name].info()["voters"]) == voters for name in names),
               30, f"voters {voters} everywhere", 0.05)


def grows(publisher, partitions, records, deadline=20):
    """Every one of these partitions takes so many more records."""
    before = dict(publisher.counts)
    wait_until(lambda: all(publisher.counts[p] >= before[p] + records for p in partitions),
               deadline, f"{records} more records on each of {sorted(partitions)}", 0.02)


# How long the centre stays away: several leases, so that none is left that it granted.
CENTRE_AWAY = 12


@case
def config_central(stage):
    """With the centre down the data plane goes on and elections wait."""
    names = ["centre", "n1", "n2", "n3"]
    with Cluster(stage, "central", names) as cluster:
        cluster.start()
        await_voters(cluster, names, [100])
        brokers = [cluster[name] for name in names[1:]]
        create_replicated(brokers[0], "orders", 6, min_insync_replicas=2)
        wait_until(lambda: {leader for leader, _ in placement(brokers[2], "orders").values()}
                   == {1, 2, 3}, 20, "every broker leads something", 0.1)
        cases.publish(brokers[0], "orders", [f"first-{n}" for n in range(30)], 6)
        cases.consume(brokers[0], "orders", 30, group="readers", commit=True)
        publisher = Publisher(brokers, "orders", 6)
        publisher.start()
        grows(publisher, range(6), 20)
        cluster["centre"].kill()
        publisher.forget_pauses()
        downtime = time.monotonic()
        wait_until(lambda: time.monotonic() - downtime > CENTRE_AWAY, CENTRE_AWAY + 5,
                   "the time to pass", 0.1)
        grows(publisher, range(6), 20)
        pause, at = max(publisher.pauses.values())
        check(pause < 1.0, f"publishing stopped for {pause:.2f} s, {at - downtime:.2f} s after the "
                           f"kill: {publisher.pauses}")
        # Metadata and groups need no voters either.
        check(set(cases.metadata(brokers[1])[0]) >= {1, 2, 3}, "Metadata without the centre")
        got = cases.consume(brokers[1], "orders", 30, group="readers", commit=True)
        check(len(got) >= 30, f"a group without the centre: {len(got)}")
        # A leader that dies now has no successor.
        victim = cluster["n1"]
        before = leaders(brokers[1], "orders")
        led = [p for p, (leader, _) in before.items() if leader == 1]
        check(led, "n1 leads nothing")
        victim.kill()
        died = time.monotonic()
        wait_until(lambda: time.monotonic() - died > 2, 10, "the time to pass", 0.1)
        counts = dict(publisher.counts)
        wait_until(lambda: time.monotonic() - died > 6, 10, "the time to pass", 0.1)
        held = leaders(brokers[1], "orders")
        check(held == before, f"elected without the centre: {before}, then {held}")
        check(all(publisher.counts[p] == counts[p] for p in led), "acknowledged by a dead leader")
        cluster["centre"].restart()
        grows(publisher, range(6), 20, 40)
        waited = time.monotonic() - died
        held = leaders(brokers[1], "orders")
        check(all(held[p][0] in (2, 3) for p in led), f"not replaced with the centre: {held}")
        publisher.finish()
        found = cases.consume(brokers[1], "orders", len(publisher.values) + 30, deadline=60)
        missing = publisher.values - set(found)
        check(not missing, f"{len(missing)} acknowledged records are missing")
        return (f"{CENTRE_AWAY} s without the centre, longest pause {pause * 1000:.0f} ms; "
                f"{len(led)} partitions of a dead leader waited {waited:.1f} s for its return")


@case
def config_kafka_classic(stage):
    """An outside quorum holds no data; a broker that dies fails over, a voter that dies does nothing."""
    voters, data = ["v1", "v2", "v3"], ["n1", "n2", "n3"]
    with Cluster(stage, "kafka-classic", voters + data) as cluster:
        cluster.start()
        await_voters(cluster, voters + data, [101, 102, 103])
        brokers = [cluster[name] for name in data]
        create_replicated(brokers[0], "orders", 6, min_insync_replicas=2)
        held = placement(brokers[1], "orders")
        check(all(sorted(replicas) == [1, 2, 3] for _, replicas in held.values()), f"{held}")
        publisher = Publisher(brokers, "orders", 6)
        publisher.start()
        grows(publisher, range(6), 20)
        before = leaders(brokers[1], "orders")
        publisher.forget_pauses()
        cluster["v2"].kill()
        killed = time.monotonic()
        wait_until(lambda: time.monotonic() - killed > 5, 10, "the time to pass", 0.1)
        check(leaders(brokers[1], "orders") == before, "a voter that died moved leaders")
        voter_pause = max(publisher.pauses.values())[0]
        check(voter_pause < 1.5, f"a voter that died stopped publishing: {publisher.pauses}")
        led = [p for p, (leader, _) in before.items() if leader == 1]
        publisher.forget_pauses()
        cluster["n1"].kill()
        grows(publisher, range(6), 20)
        after = leaders(brokers[1], "orders")
        check(all(after[p][0] in (2, 3) for p in led), f"nobody leads for n1: {after}")
        pause = max(publisher.pauses.values())[0]
        publisher.finish()
        found = cases.consume(brokers[1], "orders", len(publisher.values), deadline=60)
        missing = publisher.values - set(found)
        check(not missing, f"{len(missing)} acknowledged records are missing")
        for name in voters:
            check(not any((cluster[name].data / "logs").glob("*/*")), f"{name} holds partitions")
        return (f"{len(led)} partitions failed over in {pause:.2f} s with one of three voters dead, "
                f"whose death cost {voter_pause * 1000:.0f} ms; the voters hold no file of a topic")


def syncs(trace):
    """When each fdatasync or fsync of a broker ended, by its strace; from the same clock for all."""
    ends = []
    for line in trace.read_text().splitlines():
        found = re.search(r"(\d+\.\d+) (?:<\.\.\. )?(?:fdatasync|fsync)\b.*= 0 <(\d+\.\d+)>", line)
        if found:
            resumed = "<... " in line
            ends.append(float(found[1]) + (0 if resumed else float(found[2])))
    return ends


class Traced:
    """strace on a running broker, for its syncs."""

    def __init__(self, cluster, member):
        self.trace = cluster.home / f"{member.name}.strace"
        self.process = track(subprocess.Popen(
            ["strace", "-f", "-ttt", "-T", "-e", "trace=fdatasync,fsync", "-o", self.trace,
             "-p", str(member.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_until(lambda: self.trace.exists(), 10, "strace", 0.05)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        return syncs(self.trace)


def publish_timed(broker, topic, partition, count):
    """(sent, acknowledged) of `count` records, one after the other with acks=all."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all", "linger.ms": 0,
                         "message.timeout.ms": 30_000, **QUIET})
    times = []
    for number in range(count):
        sent, done = time.time(), []
        producer.produce(topic, f"timed-{number}".encode(), partition=partition,
                         on_delivery=lambda error, _: done.append((error, time.time())))
        wait_until(lambda: producer.poll(0.001) is not None and done, 30, "an answer", 0)
        check(done[0][0] is None, f"refused: {done[0][0]}")
        times.append((sent, done[0][1]))
    return times


def refused_publish(brokers, topic, partition, milliseconds=3_000):
    """The error of one record that can't be acknowledged."""
    errors = []
    producer = Producer({
        "bootstrap.servers": ",".join(each.bootstrap for each in brokers), "acks": "all",
        "message.timeout.ms": milliseconds, **QUIET})
    producer.produce(topic, b"never", partition=partition,
                     on_delivery=lambda error, _: errors.append(error))
    producer.flush(milliseconds / 1000 + 10)
    return errors[0] if errors else None


def await_values(broker, topic, wanted, group=None, deadline=30):
    """Reads until every value of `wanted` was there; by a group, which commits, or by itself."""
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": group or "unused",
        "auto.offset.reset": "earliest", "enable.auto.commit": False, **QUIET})
    left = set(wanted)
    try:
        if group:
            consumer.subscribe([topic])
        else:
            consumer.assign([TopicPartition(topic, number, 0)
                             for number in consumer.list_topics(topic, 10).topics[topic].partitions])

        def poll():
            message = consumer.poll(0.2)
            if message is not None and not message.error():
                left.discard(message.value().decode())
            return not left
        try:
            wait_until(poll, deadline, f"{len(wanted)} records", 0)
        finally:
            check(not left, f"{len(left)} of {len(wanted)} records are missing: {sorted(left)[:5]}")
        if group:
            consumer.commit(asynchronous=False)
    finally:
        consumer.close()


@case
def config_rocketmq(stage):
    """Both copies on one pair and both synced before an answer; the backup serves reads alone."""
    names = ["broker-a", "broker-a-s", "broker-b", "broker-b-s", "witness"]
    with Cluster(stage, "rocketmq", names) as cluster:
        cluster.start()
        await_voters(cluster, names, [1, 2, 9])
        create_replicated(cluster["broker-b"], "orders", 8, replicas=2)
        held = placement(cluster["broker-a"], "orders")
        check({tuple(replicas) for _, replicas in held.values()} == {(1, 2), (3, 4)}, f"{held}")
        check(all(leader == replicas[0] for leader, replicas in held.values()), f"{held}")
        own = sorted(p for p, (leader, _) in held.items() if leader == 1)
        other = sorted(p for p, (leader, _) in held.items() if leader == 3)
        master, backup = cluster["broker-a"], cluster["broker-a-s"]
        everyone = [cluster[name] for name in names[:4]]
        cases.publish(master, "orders", [f"{n}" for n in range(80)], 8)
        double = ""
        if shutil.which("strace"):
            traces = [Traced(cluster, each) for each in (master, backup)]
            publish_timed(master, "orders", own[0], 2)
            times = publish_timed(master, "orders", own[0], 30)
            ends = [each.stop() for each in traces]
            for sent, done in times:
                for name, list_of in zip(("master", "backup"), ends):
                    check(any(sent <= end <= done for end in list_of),
                          f"acknowledged without a sync of the {name} in between")
            double = f"{len(times)} answers, each after a sync of both; "
        # Without the backup nothing is acknowledged, nor while it is only paused.
        backup.signal(signal.SIGSTOP)
        error = refused_publish(everyone, "orders", own[0])
        check(error is not None, "acknowledged with the backup stopped")
        backup.signal(signal.SIGCONT)
        cases.publish(master, "orders", [f"again-{n}" for n in range(8)], 8)
        # What was acknowledged in the last milliseconds the backup holds, and does not know to be
        # committed: with one copy it can't find out. So it hears of the watermarks first.
        wanted = {f"{n}" for n in range(80)} | {f"again-{n}" for n in range(8)}
        await_values(master, "orders", wanted)
        time.sleep(0.2)
        master.kill()
        died = time.monotonic()
        wait_until(lambda: all(leaders(backup, "orders")[p][0] == 2 for p in own), 20,
                   "the backup leads", 0.05)
        await_values(backup, "orders", wanted)
        served = time.monotonic() - died
        await_values(backup, "orders", wanted, group="readers", deadline=60)
        error = refused_publish(everyone, "orders", own[0])
        check(error is not None, "one copy acknowledged")
        error = refused_publish(everyone, "orders", other[0], 20_000)
        check(error is None, f"the other pair goes on: {error}")
        master.restart()
        wait_until(lambda: all(leaders(backup, "orders")[p][0] == 1 for p in own), 60,
                   "the master leads again", 0.1)
        cases.publish(backup, "orders", [f"back-{n}" for n in range(8)], 8)
        return (f"{double}none with the backup stopped; it served all reads {served:.1f} s after the "
                f"master's death, and the master leads again")
