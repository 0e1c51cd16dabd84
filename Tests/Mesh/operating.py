"""What an operator does with a mesh, and what the command line says of it."""

import json
import signal

import cases
from broker import wait_until
from cases import case, check
from mesh import Mesh
from replicas import Writer, create_replicated, verify
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
        await_voters(mesh, again["voters"])
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
        await_status(mesh[1], lambda row: row["partitions"]["underReplicated"] == 0,
                     "its copies elsewhere", 30)
        mesh[3].spawn()
        wait_until(lambda: not mesh[3].alive(), 20, "the end of 3, which is forgotten")
        log = mesh[3].log_since_start()
        check(any("revoked this broker's key" in line for line in log), f"{log}")
        writer.finish()
        check(not writer.failures, f"{writer.failures[:3]}")
        return f"roster {answer['generation']}, {answer['partitions']} partitions had a copy on it"


@case
def decisions_are_explained(stage):
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[1], "orders", replicas=3, min_insync_replicas=2)
        mesh.await_topic("orders")
        cases.publish(mesh[1], "orders", [f"{n}" for n in range(60)], partitions=6)
        roster = ask(mesh[2], "paxos", "roster")
        check([row["report"]["acceptor"] for row in roster["rows"]] == ["serving"] * 3, f"{roster}")
        shown = ask(mesh[2], "paxos", "show", "topic/orders")
        check(shown["chosen"] == shown["newest"] and shown["chosen"]["counter"] > 0, f"{shown}")
        check({"name": "partitions", "value": "6"} in shown["fields"], f"{shown['fields']}")
        say(mesh[2], "paxos", "show", "topic/none", code=1)
        say(mesh[2], "paxos", "explain", "orders", code=2)
        why = ask(mesh[2], "paxos", "explain", "orders/0")
        check([copy["reason"] for copy in why["copies"]]
              == ["leads", "would lead next", "would be number 2 in line"], f"{why}")
        check(why["isServing"] and why["leaseMilliseconds"] > 0, f"{why}")
        described = json.loads(mesh[3].cli(
            "topic", "describe", "orders", "-b", mesh[3].bootstrap, "--data-dir", mesh[3].data,
            "-o", "json").stdout)["topics"][0]["partitions"]
        lags = [[(b["nodeId"], b["lag"]) for b in row["backups"]] for row in described]
        check(lags[0] == [(2, 0), (3, 0)] and len(lags) == 6, f"{lags}")
        # A paused backup lags, and its leader says by how much.
        mesh[3].send_signal(signal.SIGSTOP)
        try:
            cases.publish(mesh[1], "orders", [f"{n}" for n in range(60, 120)], partitions=6)

            def lag():
                rows = json.loads(mesh[1].cli(
                    "topic", "describe", "orders", "-b", mesh[1].bootstrap, "--data-dir",
                    mesh[1].data, "-o", "json").stdout)["topics"][0]["partitions"]
                return next(b for b in rows[0]["backups"] if b["nodeId"] == 3)

            behind = wait_until(
                lambda: (row := lag())["lag"] == 10 and not row["isInSync"] and row, 20,
                "10 records that 3 lacks", 0.1)
        finally:
            mesh[3].send_signal(signal.SIGCONT)
        mesh[1].kill()
        mesh.await_states(1, ("dead",))

        def is_led():
            done = mesh[2].cli("paxos", "explain", "orders/0", "-o", "json", "--data-dir",
                               mesh[2].data, check=False)
            return done.returncode == 0 and json.loads(done.stdout)["leader"] in (2, 3)

        wait_until(is_led, 20, "another leader", 0.1)
        why = ask(mesh[2], "paxos", "explain", "orders/0")
        check(why["leaderEpoch"] >= 1 and any(
            "1 is preferred and not in sync" in word for word in why["reasons"]), f"{why}")
        check(next(c for c in why["copies"] if c["nodeId"] == 1)["reason"] == "not there", f"{why}")
        stats = ask(mesh[2], "paxos", "stats")["brokers"]
        check(sum(row["counters"]["chosen"] for row in stats) > 0, f"{stats}")
        ask(mesh[2], "paxos", "duels")
        return f"lag of a paused backup: {behind['lag']} records, {behind['behindMilliseconds']} ms"


@case
def the_doctor_finds_what_is_wrong(stage):
    def names(broker, code=10):
        return [row["name"] for row in ask(broker, "doctor", code=code)["findings"]]

    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[1], "orders", replicas=3, min_insync_replicas=2)
        mesh.await_topic("orders")
        text = say(mesh[2], "doctor")
        check(text == "nothing found: 3 brokers, 3 voters, 6 partitions looked at\n", text)
        create_replicated(mesh[1], "single", partitions=1, replicas=1)
        create_replicated(mesh[1], "careless", partitions=1, replicas=2, min_insync_replicas=1)
        mesh.await_topic("careless")
        check(names(mesh[2]) == ["ONE_COPY", "MIN_ISR_1"], f"{names(mesh[2])}")
        mesh.secret.chmod(0o640)
        check("SECRET_MODE" in names(mesh[2]), f"{names(mesh[2])}")
        mesh.secret.chmod(0o600)
        mesh[3].kill()
        mesh.await_states(3, ("dead",))
        wait_until(lambda: "UNDER_REPLICATED" in names(mesh[1]), 20, "short copies are found", 0.1)
        found = names(mesh[1])
        check("NO_QUORUM_MARGIN" in found and "DEAD" in found, f"{found}")
        mesh[2].send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: "NO_QUORUM" in names(mesh[1]), 20, "too few voters are found", 0.1)
            worst = names(mesh[1])
        finally:
            mesh[2].send_signal(signal.SIGCONT)
        check("OFFLINE" in worst or "BELOW_MIN_ISR" in worst, f"{worst}")
        mesh[3].start()
        await_voters(mesh, [1, 2, 3])
        wait_until(
            lambda: not {"UNDER_REPLICATED", "DEAD", "NO_QUORUM", "OFFLINE"} & set(names(mesh[1])),
            30, "all is well again but what was made so", 0.2)
        return f"well: nothing; worst: {', '.join(worst)}"


@case
def a_status_takes_many_pages(stage):
    with Mesh(1, stage.binary) as mesh:
        mesh.start()
        sizes = {"a": 700, "b": 1_700, "c": 3, "d": 1}
        for name, size in sizes.items():
            cases.create_topic(mesh[1], name, size)
        pages, partitions, question = 0, [], {}
        while question is not None:
            answer = mesh[1].ask("partitions", **question)
            partitions += [(row["topic"], row["partition"]) for row in answer["partitions"]]
            pages += 1
            question = {"key": answer["nextTopic"], "after": answer["nextPartition"]} \
                if "nextTopic" in answer else None
        wanted = [(name, index) for name, size in sizes.items() for index in range(size)]
        check(partitions == wanted, f"{len(partitions)} of {len(wanted)}, {pages} pages")
        status = ask(mesh[1], "cluster", "status")
        check(status["partitions"]["total"] == len(wanted), f"{status['partitions']}")
        check(status["brokers"][0]["leads"] == len(wanted), f"{status['brokers']}")
        described = mesh[1].cli(
            "topic", "describe", "b", "-b", mesh[1].bootstrap, "--data-dir", mesh[1].data, "-o",
            "json", timeout=60)
        rows = json.loads(described.stdout)["topics"][0]["partitions"]
        check(len(rows) == 1_700 and all(row["backups"] == [] for row in rows), f"{len(rows)}")
        return f"{len(wanted)} partitions in {pages} pages"


@case
def leaders_are_balanced_on_command(stage):
    with Mesh(3, stage.binary, environment={"GOSSAMER_REPLICAS_BALANCE_LEADERS": "false"}) as mesh:
        mesh.start()
        await_voters(mesh, [1, 2, 3])
        create_replicated(mesh[1], "orders", replicas=3, min_insync_replicas=2)
        mesh.await_topic("orders")
        mesh[2].kill()
        await_status(mesh[1], lambda row: row["partitions"]["offline"] == 0
                     and row["brokers"][1]["leads"] == 0, "2 leads nothing")
        mesh[2].start()
        await_status(mesh[1], lambda row: row["partitions"]["underReplicated"] == 0, "all in sync")
        dry = ask(mesh[1], "cluster", "balance", "--dry-run")
        check(dry["wanted"] == 2 and dry["moved"] == 0, f"{dry}")
        moved = ask(mesh[1], "cluster", "balance")
        check(moved["moved"] == 2 and not moved["failures"], f"{moved}")
        status = await_status(
            mesh[1], lambda row: [b["leads"] for b in row["brokers"]] == [2, 2, 2], "two each")
        check("nothing to move" in say(mesh[1], "cluster", "balance"), "balanced")
        return f"{moved['moved']} leaderships moved, {status['partitions']['total']} partitions"


@case
def a_drained_broker_holds_nothing(stage):
    with Mesh(4, stage.binary) as mesh:
        mesh.start()
        create_replicated(mesh[1], "orders", replicas=3, min_insync_replicas=2)
        create_replicated(mesh[1], "wide", partitions=1, replicas=4, min_insync_replicas=2)
        mesh.await_topic("wide")
        text = say(mesh[1], "cluster", "drain", "2", code=1)
        check("1 partition can't leave 2" in text and "wide/0" in text, text)
        cases.Administrator(mesh[1]).delete("wide")
        wait_until(lambda: not mesh[1].has_topic("wide"), 10, "the end of the topic", 0.05)
        writer = Writer(mesh, "orders")
        writer.start()
        writer.await_progress()
        plan = ask(mesh[1], "cluster", "drain", "2", "--dry-run")
        check(plan["left"] == len(plan["moves"]) > 0, f"{plan}")
        done = ask(mesh[1], "cluster", "drain", "2")
        check(done["left"] == 0 and done["moves"] == plan["moves"], f"{done}")
        status = await_status(
            mesh[1], lambda row: row["partitions"]["underReplicated"] == 0, "all in sync")
        row = status["brokers"][1]
        check((row["leads"], row["follows"]) == (0, 0), f"{row}")
        # Nothing is missed: it may go, and be forgotten.
        check(row["stop"]["isSafe"], f"{row}")
        check(mesh[2].stop() == 0, "a clean stop")
        wait_until(lambda: mesh[1].state(2) in ("left", "dead"), 20, "2 is gone", 0.05)
        answer = ask(mesh[1], "cluster", "forget", "2", "--yes")
        check(answer["partitions"] == 0 and 2 not in answer["voters"], f"{answer}")
        writer.await_progress()
        writer.finish()
        count = verify(writer, mesh[3], "orders")
        return f"{len(done['moves'])} partitions in {done['milliseconds']} ms, {count} records kept"
