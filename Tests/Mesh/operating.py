"""What an operator does with a mesh, and what the command line says of it."""

import json

import cases
from broker import wait_until
from cases import case, check
from mesh import Mesh
from replicas import Writer, create_replicated
from roles import await_voters


def ask(broker, *words, code=0):
    """Runs a command with `-o json`; returns what it printed."""
    done = broker.cli(*words, "-o", "json", "--data-dir", broker.data, check=False, timeout=90)
    check(done.returncode == code, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def say(broker, *words, code=0):
    """Runs a command; returns its text."""
    done = broker.cli(*words, "--data-dir", broker.data, check=False, timeout=90)
    check(done.returncode == code, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def await_status(broker, holds, what, deadline=20):
    """Waits until the status satisfies `holds`; returns it."""
    last = [None]

    def poll():
        done = broker.cli("cluster", "status", "-o", "json", "--data-dir", broker.data, check=False)
        last[0] = json.loads(done.stdout) if done.returncode in (0, 10) else None
        return last[0] is not None and holds(last[0])

    try:
        wait_until(poll, deadline, what, 0.1)
    except Exception as error:
        raise cases.Failure(f"{error}; last: {last[0]}") from None
    return last[0]


@case
def status_and_safe_to_stop(stage):
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[1], "orders", replicas=3, min_insync_replicas=2)
        mesh.await_topic("orders")
        status = await_status(mesh[2], lambda row: row["isHealthy"], "a healthy mesh")
        check(status["voters"]["mayFail"] == 1, f"{status['voters']}")
        check(status["partitions"] == {
            "total": 6, "underReplicated": 0, "belowMinInSync": 0, "offline": 0}, f"{status}")
        check([row["leads"] for row in status["brokers"]] == [2, 2, 2], f"{status['brokers']}")
        for node in (1, 2, 3):
            check("is safe to stop" in say(mesh[1], "cluster", "safe-to-stop", node), "safe")
        mesh[3].kill()
        mesh.await_states(3, ("dead",))
        status = await_status(
            mesh[1], lambda row: row["partitions"]["underReplicated"] == 6
            and row["partitions"]["offline"] == 0, "six partitions short of a copy")
        check(status["voters"]["mayFail"] == 0, f"{status['voters']}")
        text = say(mesh[1], "cluster", "safe-to-stop", "2", code=10)
        check("too few to decide" in text and "6 partitions would refuse acks=all" in text, text)
        say(mesh[1], "cluster", "safe-to-stop", "9", code=1)
        # A rolling restart waits here.
        mesh[3].spawn()
        say(mesh[1], "cluster", "safe-to-stop", "2", "--wait", "30s")
        mesh[2].kill()
        mesh[3].await_ready()
        mesh[3].kill()
        await_status(mesh[1], lambda row: not row["voters"]["hasQuorum"], "too few voters")
        text = say(mesh[1], "cluster", "status", code=10)
        check("1 of 3 there, too few to decide" in text, text)
        return "3 of 3 safe, 0 of 2 safe, and safe again after a restart"


@case
def an_operator_changes_the_voters(stage):
    with Mesh(4, stage.binary) as mesh:
        mesh.start()
        wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 20, "three voters", 0.05)
        voters = mesh[1].info()["voters"]
        other = next(node for node in (1, 2, 3, 4) if node not in voters)
        refused = say(mesh[1], "cluster", "add-voter", voters[0], code=1)
        check("votes already" in refused, refused)
        with_four = ask(mesh[other], "cluster", "add-voter", other)
        check(with_four["voters"] == [1, 2, 3, 4], f"{with_four}")
        gone = voters[0]
        with_three = ask(mesh[1], "cluster", "remove-voter", gone)
        check(gone not in with_three["voters"] and len(with_three["voters"]) == 3, f"{with_three}")
        await_voters(mesh, with_three["voters"])
        # The mesh keeps three: whoever goes now has an heir.
        again = ask(mesh[1], "cluster", "remove-voter", with_three["voters"][1])
        check(len(again["voters"]) == 3 and gone in again["voters"], f"{again}")
        rows = {row["nodeId"]: row["vote"] for row in ask(mesh[1], "cluster", "voters")["members"]}
        check([node for node, vote in rows.items() if vote == "yes"] == again["voters"], f"{rows}")
        return f"rosters {with_four['generation']}, {with_three['generation']}, {again['generation']}"


@case
def a_dead_broker_is_forgotten(stage):
    with Mesh(4, stage.binary) as mesh:
        mesh.start()
        wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 20, "three voters", 0.05)
        create_replicated(mesh[1], "orders", replicas=3, min_insync_replicas=2)
        mesh.await_topic("orders")
        writer = Writer(mesh, "orders")
        writer.start()
        writer.await_progress()
        text = say(mesh[1], "cluster", "forget", "3", "--yes", code=1)
        check("3 is alive" in text and "--force" in text, text)
        mesh[3].kill()
        mesh.await_states(3, ("dead",))
        await_status(mesh[1], lambda row: row["partitions"]["offline"] == 0, "all led again")
        answer = ask(mesh[1], "cluster", "forget", "3", "--yes")
        check(answer["voters"] == [1, 2, 4] and sorted(answer["refusedBy"]) == [1, 2, 4], f"{answer}")
        writer.await_progress()
        check(3 not in mesh[1].members(), f"{mesh[1].members()}")
        mesh[3].spawn()
        wait_until(lambda: not mesh[3].alive(), 20, "the end of 3, which is forgotten")
        log = mesh[3].log_since_start()
        check(any("revoked this broker's key" in line for line in log), f"{log}")
        writer.finish()
        check(not writer.failures, f"{writer.failures[:3]}")
        return f"roster {answer['generation']}, {answer['partitions']} partitions had a copy on it"
