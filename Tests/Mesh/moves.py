"""Leaderships that move on purpose: brokers stop in order, and clients hardly notice."""

import json
import shutil
import signal
import time

import cases
from broker import wait_until
from cases import QUIET, case, check
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from leaders import ask
from mesh import Mesh
from metadata import racked
from replicas import Writer, await_in_sync, create_replicated, leaders, verify

from kafka.protocol.admin import (
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ElectLeadersRequest, ElectLeadersResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse)

# The aim is 0.1 s; the bound leaves room for the machines that run the tests.
PAUSE_BOUND = 0.5


PREFERRED, UNCLEAN = 0, 1
TIMED_OUT, NOT_NEEDED, NO_REASSIGNMENT = 7, 84, 85


def started(stage, count=3, **settings):
    """A mesh of three voters; settings are those of the environment, without GOSSAMER_."""
    mesh = Mesh(count, stage.binary)
    for broker in mesh:
        broker.environment.update({f"GOSSAMER_{name}": str(value) for name, value in settings.items()})
    mesh.start()
    wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 10, "three voters", 0.05)
    return mesh


def described(broker, topic):
    """{partition: (replicas, in-sync replicas)}"""
    rows = AdminClient({"bootstrap.servers": broker.bootstrap, **QUIET}) \
        .list_topics(topic, 5).topics[topic].partitions
    return {number: (row.replicas, row.isrs) for number, row in rows.items()}


def elect(broker, kind, topic, *partitions):
    """{partition: error code}"""
    row = ElectLeadersRequest.TopicPartitions
    answer = ask(broker, ElectLeadersRequest(
        election_type=kind, timeout_ms=4_000,
        topic_partitions=[row(topic=topic, partitions=list(partitions))]),
        ElectLeadersResponse, 2)
    check(answer.error_code == 0, f"error {answer.error_code}")
    return {part.partition_id: part.error_code
            for topic in answer.replica_election_results for part in topic.partition_result}


def reassign(broker, topic, moves, deadline=20):
    """Asks for {partition: replicas, or None to call it off}; {partition: error code}

    As admin clients do, again where the partition changed in the middle of it."""
    until = time.monotonic() + deadline
    while True:
        found = reassign_once(broker, topic, moves)
        if TIMED_OUT not in found.values() or time.monotonic() > until:
            return found


def reassign_once(broker, topic, moves):
    row = AlterPartitionReassignmentsRequest.ReassignableTopic
    answer = ask(broker, AlterPartitionReassignmentsRequest(
        timeout_ms=10_000, allow_replication_factor_change=True, topics=[row(
            name=topic, partitions=[row.ReassignablePartition(
                partition_index=number, replicas=replicas)
                for number, replicas in moves.items()])]),
        AlterPartitionReassignmentsResponse, 1)
    return {part.partition_index: part.error_code
            for topic in answer.responses for part in topic.partitions}


def moving(broker):
    """{(topic, partition): (replicas, adding, removing)}"""
    answer = ask(broker, ListPartitionReassignmentsRequest(timeout_ms=10_000, topics=None),
                 ListPartitionReassignmentsResponse, 0)
    return {(topic.name, row.partition_index):
            (row.replicas, row.adding_replicas, row.removing_replicas)
            for topic in answer.topics or [] for row in topic.partitions}


def stop_under(writer, victim):
    """Stops a broker in order; returns the longest time from the signal to what was acknowledged
    next, of the partitions that it led, and how long the process took to end."""
    led = [partition for partition, leader in leaders(victim, writer.topic).items()
           if leader == victim.node_id]
    check(led, f"broker {victim.node_id} leads nothing")
    writer.forget_pauses()
    begun = time.monotonic()
    victim.send_signal(signal.SIGTERM)
    code = victim.process.wait(30)
    took = time.monotonic() - begun
    check(code == 0, f"exit code {code}: {victim.tail()}")
    writer.await_progress()
    return max(writer.pauses[partition] for partition in led), len(led), took


@case
def a_stopped_leader_hands_over(stage):
    """SIGTERM: in-sync replicas lead at once, without the wait for a lease, for 1 and 100 partitions."""
    report = []
    for partitions in (1, 6, 100):
        with started(stage) as mesh:
            create_replicated(mesh[1], "safe", partitions)
            mesh.await_topic("safe")
            await_in_sync(mesh, "safe")
            writer = Writer(mesh, "safe", partitions)
            writer.start()
            writer.await_progress(10 * partitions)
            victim = mesh[leaders(mesh[1], "safe")[0]]
            pause, led, took = stop_under(writer, victim)
            writer.finish()
            verify(writer, mesh.running()[0], "safe")
            check(pause < PAUSE_BOUND, f"{partitions} partitions: a pause of {pause:.3f} s")
            report.append(f"{led} of {partitions} led: pause {1000 * pause:.0f} ms, ended after "
                          f"{took:.2f} s")
    return "; ".join(report)


@case
def a_rolling_restart_loses_nothing(stage):
    """Each of three brokers is stopped in order and started again under an idempotent producer.

    No rest between them: whoever has just started serves at once what it is given.
    """
    pauses = []
    with started(stage) as mesh:
        create_replicated(mesh[1], "safe")
        mesh.await_topic("safe")
        await_in_sync(mesh, "safe")
        writer = Writer(mesh, "safe")
        writer.start()
        writer.await_progress()
        for victim in (1, 2, 3):
            writer.forget_pauses()
            mesh[victim].send_signal(signal.SIGTERM)
            code = mesh[victim].process.wait(30)
            check(code == 0, f"exit code {code}: {mesh[victim].tail()}")
            writer.await_progress()
            down = max(writer.pauses.values())
            check(down < PAUSE_BOUND, f"{victim} stopped: a pause of {down:.3f} s")
            writer.forget_pauses()
            mesh[victim].start()
            await_in_sync(mesh, "safe")
            writer.await_progress()
            pauses.append(f"{1000 * down:.0f} ms stopping, "
                          f"{1000 * max(writer.pauses.values()):.0f} ms starting")
        writer.finish()
        count = verify(writer, mesh[2], "safe")
    return f"{writer.count()} acknowledged, {count} found; longest pauses {', '.join(pauses)}"


@case
def leaderships_go_back(stage):
    """A broker that was away leads again what it is the first replica of, and clients hardly notice."""
    with started(stage, REPLICAS_BALANCE_AFTER="500ms") as mesh:
        create_replicated(mesh[1], "safe")
        mesh.await_topic("safe")
        await_in_sync(mesh, "safe")
        before = leaders(mesh[1], "safe")
        writer = Writer(mesh, "safe")
        writer.start()
        writer.await_progress()
        mesh[2].kill()
        writer.await_progress()
        check(2 not in leaders(mesh[1], "safe").values(), "the dead leads")
        mesh[2].start()
        await_in_sync(mesh, "safe")
        writer.forget_pauses()
        begun = time.monotonic()
        wait_until(lambda: leaders(mesh[1], "safe") == before, 15, "the leaders of before", 0.05)
        took = time.monotonic() - begun
        writer.await_progress()
        pause = max(writer.pauses.values())
        writer.finish()
        verify(writer, mesh[3], "safe")
        check(pause < PAUSE_BOUND, f"a pause of {pause:.3f} s")
    return f"leaders of before {took:.1f} s after all were in sync; longest pause {1000 * pause:.0f} ms"


@case
def leaders_are_elected_by_request(stage):
    """ElectLeaders: the preferred at once, an unclean one only where nobody else can lead."""
    with started(stage, REPLICAS_BALANCE_LEADERS="false") as mesh:
        create_replicated(mesh[1], "safe", 3)
        create_replicated(mesh[1], "bare", 1, 2, min_insync_replicas=1)
        mesh.await_topic("safe")
        await_in_sync(mesh, "safe")
        first = {number: rows[0][0] for number, rows in described(mesh[1], "safe").items()}
        mesh[2].stop()
        mesh[2].start()
        await_in_sync(mesh, "safe")
        found = elect(mesh[1], PREFERRED, "safe", 0, 1, 2)
        check(sorted(found.values()) == [0, NOT_NEEDED, NOT_NEEDED], f"{found}")
        wait_until(lambda: leaders(mesh[1], "safe") == first, 5, "the preferred leaders", 0.02)
        check(set(elect(mesh[3], UNCLEAN, "safe", 0).values()) == {NOT_NEEDED}, "led")
        # The second copy dies, the first goes on and dies with what only it has.
        leader, other = described(mesh[1], "bare")[0][0]
        third = next(broker for broker in mesh if broker.node_id not in (leader, other))
        cases.publish(third, "bare", ["both"], 1)
        mesh[other].kill()
        cases.publish(third, "bare", ["one"], 1)
        mesh[leader].kill()
        mesh[other].start()
        time_limit = time.monotonic() + 20
        while (found := elect(mesh[other], UNCLEAN, "bare", 0)) != {0: 0}:
            check(time.monotonic() < time_limit, f"unclean: {found}")
        got = cases.consume(third, "bare", 1)
        check(got == ["both"], f"after the unclean election: {got}")
        log = third.log_path.read_text() + mesh[other].log_path.read_text()
        check("unclean election of 'bare' partition 0" in log, "it is in no log")
        mesh[leader].start()
        wait_until(lambda: sorted(described(third, "bare")[0][1]) == sorted((leader, other)), 20,
                   "the other copy back in sync", 0.05)
        check(cases.consume(mesh[leader], "bare", 1) == ["both"], "the same on both")
    return "preferred 1 of 3 needed, unclean 1; the lost record is lost on both copies"


@case
def a_partition_moves(stage):
    """Reassignments under a producer: progress, a call-off, a broker killed meanwhile; nothing lost."""
    with started(stage, count=5) as mesh:
        create_replicated(mesh[1], "safe", 2)
        mesh.await_topic("safe")
        await_in_sync(mesh, "safe")
        writer = Writer(mesh, "safe", 2)
        writer.start()
        writer.await_progress(2_000)
        check(reassign(mesh[4], "safe", {0: None}) == {0: NO_REASSIGNMENT}, "nothing to call off")
        held = described(mesh[1], "safe")[0][0]
        # One of them is killed, and a replica of before: not two of the three voters.
        voters = mesh[1].info()["voters"]
        new = sorted((node for node in range(1, 6) if node not in held),
                     key=lambda node: (node in voters, node))
        target = [*new, held[0]]
        mesh[new[0]].kill()
        check(reassign(mesh[held[1]], "safe", {0: target}) == {0: 0}, "not taken")
        wait_until(lambda: all(moving(broker) == {("safe", 0): ([*target, *held[1:]], new, held[1:])}
                               for broker in mesh.running()), 5, "the move listed everywhere", 0.02)
        check(described(mesh[held[0]], "safe")[0][0] == [*target, *held[1:]], "Metadata")
        check(reassign(mesh[held[0]], "safe", {0: None}) == {0: 0}, "not called off")
        wait_until(lambda: not any(moving(broker) for broker in mesh.running()), 5, "none", 0.02)
        check(described(mesh[held[0]], "safe")[0][0] == held, "the replicas of before")
        check(reassign(mesh[held[1]], "safe", {0: target}) == {0: 0}, "not taken again")
        mesh[held[0]].kill()
        writer.await_progress()
        mesh[held[0]].start()
        mesh[new[0]].start()
        writer.await_progress()
        wait_until(lambda: not any(moving(broker) for broker in mesh.running()), 30, "its end", 0.05)
        wait_until(lambda: sorted(described(mesh[1], "safe")[0][1]) == sorted(target), 20,
                   "the new copies in sync", 0.05)
        check(described(mesh[1], "safe")[0][0] == target, "the new replicas")
        writer.await_progress()
        writer.finish()
        count = verify(writer, mesh[2], "safe")
        topic = mesh[held[1]].data / "logs"
        wait_until(lambda: not list(topic.glob("*/0/*.log")), 10, "the old copy's files gone", 0.05)
    return f"{writer.count()} acknowledged, {count} found; {held} to {target}"


@case
def copies_of_the_dead_are_made_elsewhere(stage):
    """A broker that is dead for long is replaced; one whose disk was wiped fills itself again."""
    with started(stage, count=4, REPLICAS_REBUILD_AFTER="2s") as mesh:
        create_replicated(mesh[1], "safe")
        mesh.await_topic("safe")
        await_in_sync(mesh, "safe")
        writer = Writer(mesh, "safe")
        writer.start()
        writer.await_progress()
        mesh[3].kill()
        began = time.monotonic()
        wait_until(lambda: all(3 not in replicas and len(in_sync) == 3
                               for replicas, in_sync in described(mesh[1], "safe").values()),
                   30, "three copies on the others", 0.05)
        took = time.monotonic() - began
        mesh[2].kill()
        shutil.rmtree(mesh[2].data)
        mesh.await_states(2, ("dead",))
        mesh[3].start()
        mesh[2].start()
        await_in_sync(mesh, "safe")
        writer.await_progress()
        writer.finish()
        count = verify(writer, mesh[4], "safe")
    return f"{count} found; copies of the dead elsewhere after {took:.1f} s, the wiped one filled again"


@case
def offsets_grow_with_the_mesh(stage):
    """Groups of a mesh of one: their offsets have three copies once there are three brokers."""
    with Mesh(3, stage.binary) as mesh:
        mesh.found()
        mesh[1].start()
        cases.create_topic(mesh[1], "work", 1)
        cases.publish(mesh[1], "work", ["a", "b", "c"], 1)
        check(cases.consume(mesh[1], "work", 3, group="team", commit=True) == ["a", "b", "c"], "all")
        mesh.start()
        wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 10, "three voters", 0.05)
        slots = "__consumer_offsets"
        wait_until(lambda: all(len(in_sync) == 3 for _, in_sync in described(mesh[2], slots).values()),
                   60, "three copies of every slot", 0.1)
        create_replicated(mesh[2], "next", 1)
        mesh.await_topic("next")
        check(reassign(mesh[2], "work", {0: [2, 3, 1]}) == {0: 0}, "the topic itself grows by request")
        wait_until(lambda: len(described(mesh[2], "work")[0][1]) == 3 and not moving(mesh[2]), 20,
                   "three copies of the topic", 0.05)
        mesh[1].kill()
        cases.publish(mesh[2], "work", ["d"], 1)
        got = cases.consume(mesh[2], "work", 1, group="team", deadline=30)
        check(got == ["d"], f"the group went on with {got}")
    return "a group of a mesh of one goes on behind its commit, without that broker"


@case
def consumers_read_from_the_nearest_replica(stage):
    """A consumer with a rack fetches from the follower there; it goes on when that one dies."""
    with racked(stage) as mesh:
        mesh.start()
        wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 10, "three voters", 0.05)
        create_replicated(mesh[1], "near", 1)
        mesh.await_topic("near")
        await_in_sync(mesh, "near")
        leader, follower = described(mesh[1], "near")[0][0][:2]
        fetches = {}

        def count(text):
            for row in json.loads(text)["brokers"].values():
                if row["nodeid"] > 0:
                    fetches[row["nodeid"]] = row["req"].get("Fetch", 0)

        consumer = Consumer({
            "bootstrap.servers": ",".join(broker.bootstrap for broker in mesh),
            "client.rack": "abc"[follower - 1], "group.id": "unused", "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "statistics.interval.ms": 50, "stats_cb": count,
            "fetch.wait.max.ms": 50, **QUIET})
        consumer.assign([TopicPartition("near", 0, 0)])
        values, delays = [], []

        def read(number):
            cases.publish(mesh[leader], "near", [str(number)], 1)
            begun = time.monotonic()
            while not values or values[-1] != str(number):
                check(time.monotonic() - begun < 20, f"{number} not read, {values[-3:]}")
                message = consumer.poll(0.2)
                if message is not None and not message.error():
                    values.append(message.value().decode())
            delays.append(time.monotonic() - begun)

        for number in range(30):
            read(number)
        wait_until(lambda: consumer.poll(0.05) or fetches.get(follower, 0) > 20, 10,
                   "fetches at the follower", 0)
        at_leader = fetches.get(leader, 0)
        check(at_leader < 10, f"fetches {fetches}: leader {leader}, follower {follower}")
        # One for each record, one for each 50 ms without any: it waits for records as a leader does.
        check(fetches[follower] < 400, f"{fetches[follower]} fetches for 30 records")
        mesh[follower].kill()
        for number in range(30, 40):
            read(number)
        consumer.close()
        check(values == [str(number) for number in range(40)], f"read {values}")
        typical = sorted(delays[:30])[15]
    return (f"{fetches[follower]} fetches at the follower, {at_leader} at the leader; "
            f"{1000 * typical:.0f} ms from acknowledged to read; 10 more after its death")
