"""Brokers that die, pause, leave, move, are copied or wiped, and meshes that stop whole."""

import random
import shutil
import signal
import time

import cases
from broker import BrokerError, wait_until
from cases import at_most, case, check
from mesh import Mesh

# Beside these, the figures proper are made by scripts/mesh-bench on a quiet machine.
DEATH_BOUND = 8.0
GONE = ("dead", "left")


@case
def kill_is_noticed(stage):
    """SIGKILL: dead at all others; its partitions have no leader; it comes back with its records."""
    with Mesh(5, stage.binary) as mesh:
        mesh.start()
        cases.create_topic(mesh[3], "held", 1)
        mesh.await_topic("held")
        cases.publish(mesh[1], "held", ["before"], 1)
        leader = cases.metadata(mesh[1])[1]["held"][0][0]
        begin = time.monotonic()
        mesh[leader].kill()
        seen = mesh.await_states(leader, ("dead",), since=begin)
        took = at_most(seen, DEATH_BOUND, "SIGKILL to known dead")
        for broker in mesh.running():
            def unavailable():
                brokers, topics = cases.metadata(broker)
                return leader not in brokers and topics["held"][0] == (-1, "LEADER_NOT_AVAILABLE")
            wait_until(unavailable, 10, f"LEADER_NOT_AVAILABLE by {broker.node_id}", 0.05)
        begin = time.monotonic()
        mesh[leader].start()
        mesh.await_agreement()
        back = time.monotonic() - begin
        check(cases.consume(mesh[1 + leader % 5], "held", 1) == ["before"], "its record")
        cases.publish(mesh[1 + leader % 5], "held", ["after"], 1)
        check(cases.consume(mesh[leader], "held", 2) == ["before", "after"], "both records")
    return f"dead at all 4 others after {took}, back {back:.2f} s after its start"


@case
def founder_is_killed(stage):
    """The only voter dies: what was decided is still served; decisions wait, and go on after."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        cases.create_topic(mesh[2], "kept", 1)
        mesh.await_topic("kept")
        leader = cases.metadata(mesh[2])[1]["kept"][0][0]
        voters = mesh[2].info()["voters"]
        victim = voters[0]
        begin = time.monotonic()
        mesh[victim].kill()
        seen = mesh.await_states(victim, ("dead",), since=begin)
        took = at_most(seen, DEATH_BOUND, "SIGKILL to known dead")
        for broker in mesh.running():
            check("kept" in cases.metadata(broker)[1], f"{broker.node_id} forgot a topic")
        mesh[victim].start()
        mesh.await_agreement()
        cases.publish(mesh[3], "kept", ["v"], 1)
        check(cases.consume(mesh[2], "kept", 1) == ["v"], "the record")
        cases.create_topic(mesh[3], "next", 1)
        mesh.await_topic("next")
    return f"voters {voters}, leader {leader}; dead after {took}; topics made again after its return"


@case
def quick_restart_takes_over(stage):
    """Killed and started within a second, five times: the higher boot is taken, no death lingers."""
    with Mesh(4, stage.binary) as mesh:
        mesh.start()
        longest = 0.0
        for _ in range(5):
            boot = mesh[4].info()["bootEpoch"]
            begin = time.monotonic()
            mesh[4].kill()
            mesh[4].start()

            def higher():
                rows = [broker.members()[4] for broker in mesh]
                return all(row["bootEpoch"] == boot + 1 and row["state"] == "alive" for row in rows)
            wait_until(higher, 10, "the next boot, alive everywhere", 0.01)
            longest = max(longest, time.monotonic() - begin)
        mesh.await_agreement()
    return f"5 times, kill to known again everywhere at most {longest:.2f} s"


@case
def pause_and_continue(stage):
    """SIGSTOP long enough to be declared dead; after SIGCONT it refutes and all know all."""
    with Mesh(4, stage.binary) as mesh:
        mesh.start()
        begin = time.monotonic()
        mesh[4].send_signal(signal.SIGSTOP)
        others = [mesh[n] for n in (1, 2, 3)]
        seen = mesh.await_states(4, ("dead",), among=others, since=begin)
        took = at_most(seen, DEATH_BOUND, "SIGSTOP to known dead")
        boot = mesh[1].members()[4]["bootEpoch"]
        begin = time.monotonic()
        mesh[4].send_signal(signal.SIGCONT)
        mesh.await_agreement()
        back = time.monotonic() - begin
        row = mesh[1].members()[4]
        check(row["bootEpoch"] == boot, "it was restarted")
        check(row["incarnation"] > 0, f"back without a higher incarnation: {row}")
        deaths = mesh[4].stats()["gossip"]["deaths"]
        # It slept, so it must not blame the others when it wakes.
        check(deaths == 0, f"it declared {deaths} others dead after it slept")
    return f"dead after {took}, back {back:.2f} s after SIGCONT"


@case
def clean_stop_is_left(stage):
    """SIGTERM: `left` at all others at once, without a suspicion; back when it starts."""
    with Mesh(4, stage.binary) as mesh:
        mesh.start()
        begin = time.monotonic()
        mesh[3].send_signal(signal.SIGTERM)
        seen = mesh.await_states(3, ("left",), among=[mesh[n] for n in (1, 2, 4)], since=begin)
        took = at_most(seen, 1.5, "SIGTERM to known left")
        code = mesh[3].process.wait(30)
        check(code == 0, f"exit code {code}")
        stopped = time.monotonic() - begin
        # Not after the second that a goodbye may take where nobody answers it.
        at_most({3: stopped}, 0.8, "SIGTERM to the end of the process")
        suspicions = {n: mesh[n].stats()["gossip"]["suspicions"] for n in (1, 2, 4)}
        check(not any(suspicions.values()), f"suspicions {suspicions}")
        mesh[3].start()
        mesh.await_agreement()
    return f"left after {took}, process ended after {stopped:.2f} s"


@case
def leave_and_force_leave(stage):
    """`gossip leave` goes at once; `force-leave` only works on the dead."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        try:
            mesh[1].ask("forceLeave", node=3)
            check(False, "a live member was forced out")
        except BrokerError as error:
            check("only the dead" in str(error), f"{error}")
        mesh[3].kill()
        mesh.await_states(3, ("dead",))
        mesh[1].ask("forceLeave", node=3)
        mesh.await_states(3, ("left",))
        mesh[2].ask("leave")
        mesh.await_states(2, ("left",), among=[mesh[1]])
        mesh[2].stop()
        mesh[2].start()
        mesh[3].start()
        mesh.await_agreement()
    return "left by command, forced out when dead, both back after a start"


@case
def address_changes(stage):
    """Another mesh port and Kafka port after a restart, also after a kill; clients follow."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        cases.create_topic(mesh[3], "moving", 1)
        mesh.await_topic("moving")
        leader = cases.metadata(mesh[1])[1]["moving"][0][0]
        mover = mesh[3]
        for way in ("stop", "kill"):
            getattr(mover, way)()
            other = mesh.add(98, name=f"ports-{way}")  # only for its ports
            mesh.brokers.remove(other)
            mover.mesh_port, mover.port = other.mesh_port, other.port
            mover.start()
            mesh.await_agreement()

            def moved():
                rows = [broker.members()[3] for broker in mesh]
                return all(row["address"] == mover.mesh_address and row["kafka"] == [mover.bootstrap]
                           for row in rows)
            wait_until(moved, 10, "the new addresses everywhere", 0.01)
            check(cases.metadata(mesh[1])[0][3] == (mover.host, mover.port), "Metadata's address")
            cases.publish(mesh[2], "moving", [way], 1)
        got = cases.consume(mesh[1], "moving", 2)
        check(got == ["stop", "kill"], f"records {got}")
        # The seed moves too: the others know it from their tables, not from their seed lists.
        seed = mesh[1]
        seed.stop()
        other = mesh.add(99, name="ports-seed")
        mesh.brokers.remove(other)
        seed.mesh_port, seed.port = other.mesh_port, other.port
        seed.start()
        mesh.await_agreement()
    return f"member 3 twice (the topic's leader is {leader}), then the seed"


def copy_of(mesh, node, name):
    """A copy of a broker's data directory as a broker of its own, on other ports."""
    clone = mesh.add(node, name=name)
    mesh.brokers.remove(clone)
    shutil.copytree(mesh[node].data, clone.data,
                    ignore=shutil.ignore_patterns("admin.sock", "*.sock"))
    return clone


def one_of_two(mesh, first, second, patience=8):
    """Watches two processes of one identity: never may anyone take in both; returns who stayed."""
    addresses = {first.mesh_address: first, second.mesh_address: second}

    def decided():
        seen = {broker.members()[first.node_id]["address"] for broker in mesh.running()
                if broker not in (first, second)}
        dead = [one for one in (first, second) if not one.alive()]
        return len(seen) == 1 and len(dead) == 1 and seen != {dead[0].mesh_address} and seen

    try:
        seen = wait_until(decided, patience, "one of two is fenced and ends", 0.05)
    except BrokerError as error:
        views = {broker.node_id: broker.members()[first.node_id] for broker in mesh.running()
                 if broker not in (first, second)}
        raise BrokerError(
            f"{error}: original {'runs' if first.alive() else 'ended'}, copy "
            f"{'runs' if second.alive() else 'ended'}, seen as {views}; copy's log: {second.tail(6)}; "
            f"original's: {first.tail(6)}") from None
    return addresses[seen.pop()]


@case
def copy_of_a_running_broker_is_fenced(stage):
    """A copy of a running broker's directory has a higher boot: both are shut out, and all say so."""
    with Mesh(4, stage.binary) as mesh:
        mesh.start()
        original = mesh[3]
        others = [mesh[n] for n in (1, 2, 4)]
        clone = copy_of(mesh, 3, "clone")
        try:
            clone.spawn()
            begin = time.monotonic()
            wait_until(lambda: not original.alive() and not clone.alive(), 8, "the end of both", 0.01)
            took = time.monotonic() - begin
            for one in (original, clone):
                text = "\n".join(one.log_since_start())
                check("error: DUPLICATE_STORE" in text, f"it does not say why it ended: {one.tail(6)}")
                check(one.process.returncode == 1, f"exit code {one.process.returncode}")
            boots = {b.node_id: b.members()[3].get("duplicateBoots") for b in others}
            witnesses = [node for node, row in boots.items() if row]
            check(len(witnesses) >= 2, f"too few found out: {boots}")
            for node in witnesses:
                check("DUPLICATE_STORE" in mesh[node].log(), f"{node} does not log it")
                data = mesh[node].data
                table = mesh[node].cli("gossip", "members", "--data-dir", data).stdout
                check("DUPLICATE_STORE" in table, f"gossip members: {table}")
                why = mesh[node].cli("gossip", "why", "3", "--data-dir", data, check=False)
                check("DUPLICATE_STORE" in why.stdout and why.returncode == 10, f"why: {why.stdout}")
        finally:
            clone.close()
        # The copy is gone for good: the original comes back at its first start.
        original.start()
        mesh.await_agreement()
        left = [b.members()[3].get("duplicateBoots") for b in others]
        check(left == [None] * 3, f"still marked: {left}")
    return f"both ended {took:.2f} s after the copy's start, seen by {witnesses}"


@case
def lost_table_is_fetched_again(stage):
    """A broker without its table of chosen values is let in again by whom it knew, or says what to do."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        cases.create_topic(mesh[3], "kept", 1)
        mesh.await_topic("kept")
        cases.publish(mesh[1], "kept", ["v"], 1)
        loser = mesh[3]
        before = mesh[1].members()[3]["admission"]
        for seeds in (list(loser.seeds), []):
            loser.stop()
            (loser.data / "chosen").unlink()
            loser.seeds = seeds
            loser.start()
            mesh.await_agreement()
            mesh.await_topic("kept")
            mesh.await_same_table()
            check(cases.consume(mesh[2], "kept", 1) == ["v"], "the record of its partition")
            check("table of chosen values is gone" in loser.log(), "it does not say so")
        after = mesh[1].members()[3]["admission"]
        check(before == after, f"admission {before}, then {after}")
        # One that never met anybody but its seed, and has no seed any more.
        loser.stop()
        for name in ("chosen", "table"):
            (loser.data / name).unlink()
        shutil.rmtree(loser.data / "logs")
        error = cases.refused(loser, "chosen is gone", "--seed HOST:PORT")
    return error


@case
def copy_of_the_same_boot_is_fenced(stage):
    """A copy made while the broker was down, started beside it: both say the same boot."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        original = mesh[3]
        original.stop()
        clone = copy_of(mesh, 3, "clone")
        original.start()
        mesh.await_agreement()
        try:
            clone.spawn()
            stayed = one_of_two(mesh, original, clone)
            check(stayed is original, "the copy took over")
            line = clone.tail(3)
        finally:
            clone.close()
        mesh.await_agreement()
    return line.splitlines()[-1]


@case
def rolled_back_directory_is_fenced(stage):
    """A directory put back to what it was two starts ago can't come back."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        mesh[3].stop()
        old = mesh.directory / "old"
        shutil.copytree(mesh[3].data, old)
        for _ in range(2):
            mesh[3].start()
            mesh.await_agreement()
            mesh[3].stop()
        boot = mesh[1].members()[3]["bootEpoch"]
        shutil.rmtree(mesh[3].data)
        shutil.copytree(old, mesh[3].data)
        # Gone when the mesh says so, or never let in: either way nobody may take it for the member.
        mesh[3].spawn()
        try:
            wait_until(lambda: not mesh[3].alive(), 15, "the end of a rolled-back broker")
        except BrokerError as error:
            raise BrokerError(f"{error}; its log: {mesh[3].tail(8)}") from None
        for node in (1, 2):
            row = mesh[node].members()[3]
            check(row["bootEpoch"] == boot and row["state"] in GONE, f"{node} took it in: {row}")
        refusals = sum(mesh[n].stats()["handshakesRefused"]["staleBoot"] for n in (1, 2))
        check(refusals > 0, "no refusal was counted")
        line = next(line for line in mesh[3].log_since_start() if "error: " in line)
    return f"{line}; {refusals} handshakes refused"


@case
def wiped_disk(stage):
    """An emptied directory with the same id: refused while the member lives, a new admission after."""
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        before = mesh[1].members()[3]["admission"]
        mesh[3].kill()
        shutil.rmtree(mesh[3].data)
        mesh.await_states(3, ("dead",))
        mesh[3].start()
        mesh.await_agreement()
        after = {broker.members()[3]["admission"] for broker in mesh}
        check(after == {before + 1}, f"admission {before}, then {after}")
        cases.create_topic(mesh[3], "after", 1)
        mesh.await_topic("after")
        cases.publish(mesh[3], "after", ["v"], 1)
        check(cases.consume(mesh[2], "after", 1) == ["v"], "a record by the new store")
    return f"admission {before}, then {before + 1}"


def fill(mesh):
    """Topics, records, a group with offsets; returns what to look for."""
    for number in range(1, 4):
        cases.create_topic(mesh[number], f"t{number}", 3)
        cases.publish(mesh[number], f"t{number}", [f"{number}-{n}" for n in range(90)], 3)
    got = cases.consume(mesh[2], "t1", 90, group="g", commit=True)
    check(len(got) == 90, "the group's records")
    for number in range(1, 4):
        mesh.await_topic(f"t{number}")
    mesh.await_same_table()
    return {
        "metadata": cases.metadata(mesh[1]), "offsets": cases.committed(mesh[1], "g", "t1"),
        "table": mesh[1].info()["tableRoot"]}


def look_for(mesh, known):
    for broker in mesh:
        def same():
            return cases.metadata(broker) == known["metadata"]
        wait_until(same, 15, f"the same Metadata by {broker.node_id}", 0.05)
        offsets = cases.committed(broker, "g", "t1")
        check(offsets == known["offsets"] == {0: 30, 1: 30, 2: 30}, f"offsets {offsets}")
        for number in range(1, 4):
            got = cases.consume(broker, f"t{number}", 90)
            wanted = [f"{number}-{n}" for n in range(90)]
            check(sorted(got) == sorted(wanted), f"t{number} at {broker.node_id}: {len(got)} records")


@case
def whole_mesh_restarts(stage):
    """All stopped and started in random orders, and all killed at once: nothing is forgotten."""
    order = random.Random(1)
    times = []
    with Mesh(5, stage.binary) as mesh:
        mesh.start()
        known = fill(mesh)
        for way in ("stop", "stop one by one", "kill"):
            if way == "stop":
                codes = mesh.stop()
                check(set(codes) == {0}, f"exit codes {codes}")
            elif way == "kill":
                mesh.kill()
            else:
                for broker in order.sample(mesh.brokers, 5):
                    check(broker.stop() == 0, "exit code")
            begin = time.monotonic()
            for broker in order.sample(mesh.brokers, 5):
                broker.spawn()
            for broker in mesh:
                broker.await_ready()
            mesh.await_agreement()
            times.append(f"{time.monotonic() - begin:.2f}")
            look_for(mesh, known)
            check({len(broker.members()) for broker in mesh} == {5}, "members")
    return f"all know all {', '.join(times)} s after the first start; topics, records, offsets there"


@case
def members_without_the_seed(stage):
    """Brokers that start again while the founder is away know each other and what was decided."""
    with Mesh(4, stage.binary) as mesh:
        mesh.start()
        cases.create_topic(mesh[2], "known", 1)
        mesh.await_topic("known")
        mesh.stop()
        rest = [mesh[n] for n in (2, 3, 4)]
        for broker in rest:
            broker.spawn()
        for broker in rest:
            broker.await_ready()
        mesh.await_agreement()
        for broker in rest:
            check("known" in cases.metadata(broker)[1], f"{broker.node_id} forgot the topic")
        mesh[1].start()
        mesh.await_agreement()
    return "three of four agree without the broker that was their only seed"


@case
def revoked_member_is_cut(stage):
    """Revoking takes effect at once on links and datagrams of all, and it can't come back."""
    with Mesh(4, stage.binary) as mesh:
        mesh.start()
        begin = time.monotonic()
        mesh[1].ask("revoke", node=3)
        others = [mesh[n] for n in (1, 2, 4)]

        def cut():
            for broker in others:
                row = broker.members().get(3)
                if row and row["state"] not in GONE:
                    return False
                rows = broker.ask("keys")["keys"]["admissions"]
                if not any(one["nodeId"] == 3 and one["isRevoked"] for one in rows):
                    return False
            return True
        wait_until(cut, 3, "member 3 is gone everywhere", 0.005)
        took = time.monotonic() - begin
        heard = {b.node_id: (b.members().get(3) or {}).get("lastHeardMilliseconds") for b in others}
        if mesh[3].alive():
            mesh[3].kill()
        mesh[3].spawn()

        def refusals():
            return sum(broker.stats()["handshakesRefused"]["revoked"] for broker in others)
        wait_until(refusals, 15, "a refused handshake")
        for broker in others:
            row = broker.members().get(3)
            check(row is None or row["state"] in GONE, f"it is back at {broker.node_id}: {row}")
        # Its key is out; a new one on the same id would be a new admission, which is for people to make.
        mesh[3].kill()
        mesh.brokers.remove(mesh[3])
        mesh.await_agreement()
        try:
            mesh[1].ask("revoke", node=3)
            check(False, "revoked twice")
        except BrokerError as error:
            check("already" in str(error), f"{error}")
        count = refusals()
    return f"gone everywhere after {took:.2f} s, {count} handshakes refused (heard {heard})"
