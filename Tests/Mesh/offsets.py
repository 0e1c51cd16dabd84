"""Committed offsets as every broker knows them, without asking, and back when their slot is lost."""

import json
import shutil
import time

import cases
from broker import wait_until
from cases import QUIET, case, check
from confluent_kafka import Consumer, TopicPartition
from mesh import Mesh
from moves import UNCLEAN, elect
from replicas import create_replicated
from roles import await_voters

OFFSETS = "__consumer_offsets"


def commit(broker, group, topic, offsets):
    """Commits {partition: offset} as a simple consumer does, and returns once it is acknowledged."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group,
                         "enable.auto.commit": False, **QUIET})
    try:
        rows = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        for row in consumer.commit(offsets=rows, asynchronous=False):
            check(row.error is None, f"commit: {row.error}")
    finally:
        consumer.close()


def local(broker, group=None):
    """What the broker's own copy says: {group: its report}."""
    words = ["group", "describe", group] if group else ["group", "list"]
    done = broker.cli(*words, "--local", "--data-dir", broker.data, "-o", "json", check=False)
    if done.returncode != 0:
        return {}
    answer = json.loads(done.stdout)
    check(answer["broker"] == broker.node_id and answer["source"] == "copy", f"{answer}")
    return {row["group"]: row for row in answer["groups"]}


def figures(broker, group):
    """{partition: (committed, end, lag)} by the broker's own copy; empty where it has none."""
    report = local(broker, group).get(group)
    return {row["partition"]: (row["currentOffset"], row.get("logEndOffset"), row.get("lag"))
            for row in report["partitions"]} if report else {}


def await_figures(brokers, group, expected, deadline=20):
    """Until each broker's own copy shows that; how long it took at most, and the greatest age."""
    began = time.monotonic()
    for broker in brokers:
        last = None

        def shown():
            nonlocal last
            last = figures(broker, group)
            return last == expected
        try:
            wait_until(shown, deadline, f"{broker.node_id} shows {group}", 0.05)
        except Exception:
            check(False, f"broker {broker.node_id} shows {last} of {group}, not {expected}")
    took = time.monotonic() - began
    return took, max(local(broker, group)[group]["ageMilliseconds"] for broker in brokers)


@case
def lag_is_known_on_every_broker(stage):
    """Commits through one broker, rewinds, deletes; every broker shows it, also with the coordinator dead."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        create_replicated(mesh[1], "orders", 3)
        mesh.await_topic("orders")
        cases.publish(mesh[1], "orders", [f"{n}" for n in range(30)])
        commit(mesh[2], "billing", "orders", {0: 7, 1: 10, 2: 0})
        took, age = await_figures(
            mesh, "billing", {0: (7, 10, 3), 1: (10, 10, 0), 2: (0, 10, 10)})
        check(age < 15_000, f"age {age} ms")
        # The offsets alone are there at once.
        began = time.monotonic()
        commit(mesh[3], "billing", "orders", {0: 2})
        for broker in mesh:
            wait_until(lambda: figures(broker, "billing").get(0) == (2, 10, 8), 10,
                       f"the rewind on {broker.node_id}", 0.02)
        rewound = time.monotonic() - began
        for group in ("shipping", "audit"):
            commit(mesh[1], group, "orders", {0: 1})
            await_figures(mesh, group, {0: (1, 10, 9)})
        mesh[1].cli("group", "delete", "audit", "-b", mesh[1].bootstrap)
        for broker in mesh:
            wait_until(lambda: "audit" not in local(broker), 10,
                       f"{broker.node_id} forgets the group", 0.05)
        listed = local(mesh[3])
        check({name: row["lag"] for name, row in listed.items()} == {"billing": 18, "shipping": 9},
              f"{listed}")
        # With its coordinator dead a group's lag is still shown, and grows old.
        leader = cases.coordinator(mesh[1], "billing")
        mesh[leader].kill()
        rest = mesh.running()
        await_figures(rest, "billing", {0: (2, 10, 8), 1: (10, 10, 0), 2: (0, 10, 10)}, 5)
        for broker in rest:
            text = broker.cli("group", "describe", "billing", "--local", "--data-dir",
                              broker.data).stdout
            check("group billing: lag 18, as broker" in text and " ago" in text, text)
        # Another broker coordinates it now, and its word goes on in the same order.
        wait_until(lambda: cases.coordinator(rest[0], "billing") != leader, 20,
                   "another coordinator", 0.1)
        commit(rest[0], "billing", "orders", {0: 5})
        await_figures(rest, "billing", {0: (5, 10, 5), 1: (10, 10, 0), 2: (0, 10, 10)})
        # Who comes back pulls what it missed.
        mesh[leader].start()
        await_figures([mesh[leader]], "billing",
                      {0: (5, 10, 5), 1: (10, 10, 0), 2: (0, 10, 10)})
        # Alone, a broker can't be asked for what a coordinator knows; it says what it knows itself.
        for broker in (mesh[2], mesh[3]):
            broker.kill()
        done = None

        def falls_back():
            nonlocal done
            done = mesh[1].cli("group", "describe", "billing", "-b", mesh[1].bootstrap, "--timeout",
                               "2s", "--data-dir", mesh[1].data)
            return "own copy" in done.stderr
        wait_until(falls_back, 20, "a broker that speaks for itself", 0.2)
        check("lag 15, as broker 1 has it" in done.stdout, f"{done.stdout}{done.stderr}")
        return f"figures on all after {took:.1f} s, a rewind after {rewound:.1f} s, age {age} ms"


@case
def a_lost_slot_is_recovered(stage):
    """Every replica of the offsets is wiped; the voters' copies are written back by command."""
    roles = {1: "voter", 2: "voter", 3: "voter", 4: "broker", 5: "broker"}
    with Mesh(5, stage.binary, environment={"GOSSAMER_REPLICAS_REBUILD_AFTER": "1h"},
              arguments=lambda node: ["--role", roles[node]]) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[1], "orders", 3, 2, min_insync_replicas=1)
        mesh.await_topic("orders")
        cases.publish(mesh[1], "orders", [f"{n}" for n in range(30)])
        expected = {0: 7, 1: 10, 2: 0}
        commit(mesh[1], "billing", "orders", expected)
        commit(mesh[1], "shipping", "orders", {0: 3})
        commit(mesh[1], "audit", "orders", {0: 4})
        mesh[1].cli("group", "delete", "audit", "-b", mesh[1].bootstrap)
        voters = [mesh[1], mesh[2], mesh[3]]
        for broker in voters:
            wait_until(lambda: {p: row[0] for p, row in figures(broker, "billing").items()}
                       == expected and "audit" not in local(broker), 20,
                       f"copies on {broker.node_id}", 0.1)
        for node in (4, 5):
            mesh[node].kill()
            shutil.rmtree(mesh[node].data)
        for node in (4, 5):
            mesh.await_states(node, ("dead",), among=voters)
        # The voters too: their copies are on their disks.
        for broker in voters:
            check(broker.stop() == 0, f"stop of {broker.node_id}")
        for broker in voters:
            broker.spawn()
        for broker in voters:
            broker.await_ready()
        for node in (4, 5):
            mesh[node].start(60)
        slots = local(mesh[1])
        slots = {slots["billing"]["slot"], slots["shipping"]["slot"]}
        for slot in slots:
            limit = time.monotonic() + 40
            while (found := elect(mesh[1], UNCLEAN, OFFSETS, slot)) != {slot: 0}:
                check(time.monotonic() < limit, f"unclean election of slot {slot}: {found}")
                time.sleep(0.2)
        lost = None

        def empty():
            nonlocal lost
            lost = cases.committed(mesh[1], "billing", "orders")
            return lost == {0: -1001, 1: -1001, 2: -1001}
        wait_until(empty, 30, "a coordinator that knows nothing", 0.2)
        done = mesh[4].cli("group", "recover", "--all", "--data-dir", mesh[4].data, "-o", "json")
        rows = json.loads(done.stdout)["slots"]
        got = {group["group"]: {row["partition"]: row["currentOffset"] for row in group["partitions"]}
               for row in rows for group in row["recovered"]}
        check(got == {"billing": expected, "shipping": {0: 3}}, f"recovered {got}: {done.stdout}")
        wait_until(lambda: cases.committed(mesh[1], "billing", "orders") == expected, 20,
                   "the offsets are back", 0.1)
        # Again there is nothing to do; a slot that lives is not written to without force.
        again = mesh[5].cli("group", "recover", "--all", "--data-dir", mesh[5].data, "-o", "json")
        left = json.loads(again.stdout)["slots"]
        check(all(not row["recovered"] and row["kept"] for row in left), f"again: {left}")
        return f"{sum(map(len, got.values()))} positions of {len(got)} groups in {len(slots)} slots"
