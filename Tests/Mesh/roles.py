"""Brokers that are for one thing only: those that vote and hold nothing, those that never vote."""

import cases
from broker import wait_until
from cases import case, check
from mesh import Mesh
from replicas import create_replicated


def placement(broker, topic):
    """{partition: (leader, replicas)} as one broker tells it."""
    answer = cases.Administrator(broker).client.list_topics(topic, 10)
    return {partition.id: (partition.leader, sorted(partition.replicas))
            for partition in answer.topics[topic].partitions.values()}


def await_voters(mesh, voters, deadline=20):
    wait_until(lambda: all(sorted(broker.info()["voters"]) == voters for broker in mesh.running()),
               deadline, f"voters {voters} everywhere", 0.02)


@case
def a_witness_votes_and_holds_nothing(stage):
    roles = {1: ("broker", "voter"), 2: ("broker", "voter"), 3: ("voter",)}
    with Mesh(3, stage.binary, arguments=lambda node: [
            word for role in roles[node] for word in ("--role", role)]) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[3], "orders", replicas=2, min_insync_replicas=1)
        mesh.await_topic("orders")
        held = placement(mesh[3], "orders")
        check({tuple(replicas) for _, replicas in held.values()} == {(1, 2)}, f"{held}")
        cases.publish(mesh[3], "orders", [f"{n}" for n in range(30)])
        mesh[1].kill()
        # Two of three vote, so the backups take over.
        wait_until(lambda: {leader for leader, _ in placement(mesh[3], "orders").values()} == {2},
                   20, "2 leads all", 0.05)
        got = cases.consume(mesh[3], "orders", 30)
        check(len(got) == 30, f"{len(got)} of 30")
        check(not any((mesh[3].data / "logs").glob("*/*")), "the witness holds files of topics")
        return f"{len(held)} partitions on 1 and 2 only; 2 led them after 1 was killed"


@case
def one_fixed_centre_votes(stage):
    with Mesh(3, stage.binary, arguments=lambda node: [
            "--voters", "1", "--role", "voter" if node == 1 else "broker"]) as mesh:
        mesh.start()
        create_replicated(mesh[2], "orders", replicas=2, min_insync_replicas=2)
        mesh.await_topic("orders")
        cases.publish(mesh[2], "orders", [f"{n}" for n in range(30)])
        await_voters(mesh, [1])
        mesh[1].kill()
        mesh.await_states(1, ("dead",))
        check(mesh[2].info()["voters"] == [1], f"{mesh[2].info()['voters']}")
        mesh[1].start()
        cases.publish(mesh[2], "orders", [f"{n}" for n in range(30, 60)])
        got = cases.consume(mesh[3], "orders", 60)
        check(len(got) == 60, f"{len(got)} of 60")
        return "the centre alone votes, also after its restart"


@case
def copies_are_not_rebuilt_on_a_witness(stage):
    roles = {1: ("broker", "voter"), 2: ("broker", "voter"), 3: ("voter",), 4: ("broker",)}
    with Mesh(4, stage.binary, environment={"GOSSAMER_REPLICAS_REBUILD_AFTER": "2s"},
              arguments=lambda node: [word for role in roles[node] for word in ("--role", role)]
              ) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[3], "orders", replicas=2, min_insync_replicas=1)
        mesh.await_topic("orders")
        cases.publish(mesh[3], "orders", [f"{n}" for n in range(60)], partitions=6)
        mesh[1].kill()
        wait_until(lambda: {tuple(held) for _, held in placement(mesh[3], "orders").values()}
                   == {(2, 4)}, 30, "all copies on 2 and 4", 0.1)
        got = cases.consume(mesh[3], "orders", 60)
        check(len(got) == 60, f"{len(got)} of 60")
        check(not any((mesh[3].data / "logs").glob("*/*")), "the witness holds files of topics")
        return "the copies of 1 were made on 2 and 4"
