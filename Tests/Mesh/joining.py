"""Who gets in, how soon everybody knows, and who does not get in."""

import json
import os
import shutil
import time

from cases import Skip, case, check, consume, create_topic, publish, refused
from broker import wait_until
from mesh import Mesh


def join(stage, count):
    with Mesh(count, stage.binary) as mesh:
        mesh.start()
        begin = max(broker.ready_at for broker in mesh)
        # `start` returned after the first poll that found agreement.
        took = time.monotonic() - begin
        check(took <= 1.0, f"all knew all {took:.2f} s after the last was ready")
        clusters = {broker.ask("members")["clusterId"] for broker in mesh}
        check(len(clusters) == 1, f"clusters {clusters}")
        for broker in mesh:
            rows = broker.members()
            for other in mesh:
                row = rows[other.node_id]
                check(row["address"] == other.mesh_address, f"{broker.node_id} has {row}")
                check(row["kafka"] == [other.bootstrap], f"{broker.node_id} has {row}")
            check(sum(row["isVoter"] for row in rows.values()) >= 1, "nobody votes")
        listed = mesh[count].cli("gossip", "members", "--data-dir", mesh[count].data, "-o", "json")
        states = {row["nodeId"]: row["state"] for row in json.loads(listed.stdout)["members"]}
        check(states == {n: "alive" for n in range(1, count + 1)}, f"gossip members: {states}")
    return f"all know all {took:.2f} s after the last was ready"


@case
def join_three(stage):
    return join(stage, 3)


@case
def join_five(stage):
    return join(stage, 5)


def formers(mesh, numbers, listed, expect):
    """Blank brokers without ids that have a list of seeds and expect that many brokers."""
    made = []
    for number in numbers:
        broker = mesh.add(None, name=f"blank{number}", seeds=listed,
                          arguments=["--expect", str(expect)])
        mesh.brokers.remove(broker)
        made.append(broker)
    return made


@case
def expected_brokers_form(stage):
    """Three blank brokers with one list form one mesh; another list is refused; members are joined."""
    with Mesh(1, stage.binary) as mesh, Mesh(1, stage.binary) as other:
        other.found()
        mesh.brokers.clear()
        mesh.directory.mkdir(exist_ok=True)
        shutil.copy(other.secret, mesh.secret)
        three = formers(mesh, (1, 2, 3), [], 3)
        listed = [broker.mesh_address for broker in three]
        for broker in three:
            broker.seeds = listed
        stranger, = formers(mesh, (4,), [*listed[:2], "127.0.0.1:1"], 3)
        # Two of three wait, however long: nobody is in a mesh.
        for broker in three[:2]:
            broker.spawn()
        for broker in three[:2]:
            wait_until(lambda: "can't be reached yet" in broker.log(), 20, "a try in vain", 0.02)
            check(broker.alive() and "ready" not in broker.log_since_start(), broker.tail(5))
        check(not any((broker.data / "identity").exists() for broker in three[:2]), "it has formed")
        error = refused(stranger, "another list of seeds", "--expect")
        # Whoever was met by the stranger ended too, or waits still: nobody formed a mesh with it.
        check(not any((broker.data / "identity").exists() for broker in three[:2]), "it has formed")
        begin = time.monotonic()
        for broker in three:
            if not broker.alive():
                broker.spawn()
        for broker in three:
            broker.await_ready()
        mesh.brokers.extend(three)
        mesh.await_agreement()
        took = time.monotonic() - begin
        ids = sorted(broker.node_id for broker in three)
        check(ids == [1, 2, 3], f"ids {ids}")
        clusters = {broker.ask("members")["clusterId"] for broker in mesh}
        check(len(clusters) == 1, f"clusters {clusters}")
        # A list with brokers that are not blank any more: its owner joins them.
        late, = formers(mesh, (5,), [], 3)
        late.seeds = [*listed[:2], late.mesh_address]
        late.start()
        mesh.brokers.append(late)
        mesh.await_agreement()
        check({broker.ask("members")["clusterId"] for broker in mesh} == clusters, "another mesh")
        # And a wiped one of the three finds its mesh, and begins none. Until three vote, the one
        # that began votes alone: what it knew would be lost with its disk.
        for broker in mesh:
            wait_until(lambda: len(broker.info()["voters"]) == 3, 10, "three voters", 0.02)
        wiped = three[2]
        gone = wiped.node_id
        wiped.kill()
        shutil.rmtree(wiped.data)
        mesh.await_states(gone, ("dead",))
        wiped.node_id = None
        wiped.start()
        mesh.await_agreement()
        check({broker.ask("members")["clusterId"] for broker in mesh} == clusters, "a second mesh")
    return f"three formed in {took:.2f} s; {error}"


@case
def a_wiped_only_voter_hears_why(stage):
    """The founder of two loses its disk: the other can't admit it, and tells it so."""
    with Mesh(1, stage.binary) as mesh, Mesh(1, stage.binary) as other:
        other.found()
        mesh.brokers.clear()
        mesh.directory.mkdir(exist_ok=True)
        shutil.copy(other.secret, mesh.secret)
        two = formers(mesh, (1, 2), [], 2)
        for broker in two:
            broker.seeds = [former.mesh_address for former in two]
        for broker in two:
            broker.spawn()
        for broker in two:
            broker.await_ready()
        mesh.brokers.extend(two)
        mesh.await_agreement()
        voter, = [broker for broker in two if broker.info()["voters"] == [broker.node_id]]
        voter.kill()
        shutil.rmtree(voter.data)
        begin = time.monotonic()
        voter.spawn()
        wait_until(lambda: "disk is gone" in voter.log(), 20, "the reason", 0.05)
        took = time.monotonic() - begin
        check("copy of its data directory" in voter.log(), voter.tail(5))
        voter.kill()
    return f"told after {took:.1f} s"


@case
def ipv6_loopback(stage):
    """Three brokers at [::1]: members, topics and clients over IPv6."""
    with Mesh(3, stage.binary, ipv6=True) as mesh:
        mesh.start()
        for broker in mesh:
            rows = broker.members()
            for other in mesh:
                row = rows[other.node_id]
                check(row["address"] == other.mesh_address and row["kafka"] == [other.bootstrap],
                      f"{broker.node_id} has {row}")
        create_topic(mesh[3], "six", 1)
        mesh.await_topic("six")
        publish(mesh[1], "six", ["v"], 1)
        check(consume(mesh[2], "six", 1) == ["v"], "the record")
        counted = mesh[1].stats()["transport"]["datagramsReceived"]
        check(counted > 0, "no datagram came by IPv6")
        listed = mesh[1].cli("gossip", "info", "--via", mesh[2].mesh_address, "--secret-file",
                             mesh.secret)
    return f"{counted} datagrams, {listed.stdout.splitlines()[0].strip()}"


@case
def seeds_by_name(stage):
    """`localhost` as a seed, also for a name that is resolved again after its broker moved."""
    with Mesh(3, stage.binary) as mesh:
        for broker in mesh.brokers[1:]:
            broker.seeds = [f"localhost:{mesh[1].mesh_port}"]
        mesh.start()
    return "two joined by localhost"


@case
def name_that_is_not_known_yet(stage):
    """A seed whose name has no address is tried again, named once, and joined once it has one."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skip("needs root and unshare, to give one broker a hosts file of its own")
    name = "late.gossamer.invalid"
    with Mesh(2, stage.binary) as mesh:
        mesh.found()
        first, late = mesh[1], mesh[2]
        first.start()
        hosts = mesh.directory / "hosts"
        hosts.write_text("127.0.0.1 localhost\n")
        late.wrapper = ["unshare", "-m", "sh", "-c",
                        'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
        late.seeds = [f"{name}:{first.mesh_port}"]
        late.spawn()
        wait_until(lambda: "unknownHost" in late.log(), 20, "a name that has no address", 0.02)
        attempts = late.log().count("unknownHost")
        # It goes on trying: the pause before the next try doubles from 250 ms.
        begin = time.monotonic()
        with hosts.open("a") as file:
            file.write(f"127.0.0.1 {name}\n")
        late.await_ready()
        took = time.monotonic() - begin
        mesh.await_agreement()
        check(late.log().count("unknownHost") == attempts == 1, late.tail(8))
        # Away again, while the broker runs: said once more and not at each try.
        late.stop()
        hosts.write_text("127.0.0.1 localhost\n")
        first.stop()
        late.start()
        wait_until(lambda: late.log().count("unknownHost") == 2, 20, "the second complaint", 0.02)
        tries = len(late.ask("events")["events"])

        def again():
            rows = late.ask("events")["events"]
            return sum(row["kind"] == "linkFailed" and row.get("node") is None for row in rows) >= 3
        wait_until(again, 60, f"three tries of the seed, after {tries} events", 0.05)
        check(late.log().count("unknownHost") == 2, f"said at each try: {late.tail(8)}")
        with hosts.open("a") as file:
            file.write(f"127.0.0.1 {name}\n")
        first.start()
        mesh.await_agreement()
    return f"joined {took:.2f} s after its name was known; said once for each absence"


@case
def founder_is_met_while_it_starts(stage):
    """Brokers that wait for their seed meet it in the first moment that it listens."""
    rounds, others = 4, 12
    for _ in range(rounds):
        with Mesh(1 + others, stage.binary) as mesh:
            mesh.found()
            for broker in mesh.brokers[1:]:
                broker.spawn()
            for broker in mesh.brokers[1:]:
                wait_until(lambda: "can't be reached yet" in broker.log(), 20, "a try in vain", 0.02)
            mesh.start()
    return f"{rounds} times {others} brokers that had waited"


@case
def assigned_id(stage):
    """A broker with no --node-id gets one, and has it still after a restart."""
    with Mesh(2, stage.binary) as mesh:
        mesh.start()
        newcomers = [mesh.add(None, name=f"new{n}") for n in range(2)]
        for broker in newcomers:
            broker.spawn()
        for broker in newcomers:
            broker.await_ready()
        ids = [broker.node_id for broker in newcomers]
        check(len({1, 2, *ids}) == 4 and min(ids) >= 0, f"ids {ids}")
        mesh.await_agreement()
        newcomers[0].stop()
        kept, newcomers[0].node_id = newcomers[0].node_id, None
        newcomers[0].start()
        check(newcomers[0].node_id == kept, f"{newcomers[0].node_id} and not {kept} after a restart")
        mesh.await_agreement()
    return f"ids {ids}"


@case
def duplicate_id_refused(stage):
    with Mesh(3, stage.binary) as mesh:
        mesh.start()
        before = {broker.node_id: broker.info()["publicKey"] for broker in mesh}
        twin = mesh.add(3, name="twin")
        mesh.brokers.remove(twin)
        error = refused(twin, r"\b3\b")
        mesh.await_agreement()
        after = {broker.node_id: broker.info()["publicKey"] for broker in mesh}
        check(before == after, "a member has another key")
        row = mesh[1].members()[3]
        check(row["address"] == mesh[3].mesh_address, f"member 3 is {row}")
    return error


@case
def wrong_secret_refused(stage):
    with Mesh(2, stage.binary) as mesh, Mesh(1, stage.binary) as other:
        mesh.start()
        other.found()
        stranger = mesh.add(9)
        mesh.brokers.remove(stranger)
        stranger.secret = other.secret
        error = refused(stranger, "secret")
        counted = mesh[1].stats()
        total = (counted["handshakesRefused"]["wrongSecret"]
                 + counted["handshakesDeclined"]["wrongSecret"])
        check(total >= 1, f"not counted: {counted}")
        check(9 not in mesh[1].members(), "the stranger is a member")
    return error


@case
def no_secret_refused(stage):
    """A missing file, a file that others may read, and one that holds no secret."""
    with Mesh(1, stage.binary) as mesh:
        mesh.start()
        newcomer = mesh.add(2)
        mesh.brokers.remove(newcomer)
        newcomer.secret = mesh.directory / "missing"
        refused(newcomer, "missing", "no such file|cluster init")
        newcomer.secret = mesh.directory / "lax"
        shutil.copy(mesh.secret, newcomer.secret)
        os.chmod(newcomer.secret, 0o644)
        error = refused(newcomer, "lax", "644", "chmod 600")
        newcomer.secret.write_text("not a secret\n")
        os.chmod(newcomer.secret, 0o600)
        refused(newcomer, "lax", "hexadecimal")
        # And the same broker gets in as soon as the file is right.
        newcomer.secret = mesh.secret
        mesh.brokers.append(newcomer)
        newcomer.start()
        mesh.await_agreement()
        for path in [mesh.secret, *(broker.data / "keys/identity" for broker in mesh)]:
            check(path.stat().st_mode & 0o077 == 0, f"{path} has mode {path.stat().st_mode:o}")
    return error


@case
def foreign_cluster_refused(stage):
    """Two meshes with the same secret, one with a seed of the other: no link, counted, both well."""
    with Mesh(2, stage.binary) as one, Mesh(2, stage.binary) as two:
        one.start()
        # The worst case: a copied secret file; only the cluster id tells them apart.
        two.directory.mkdir(exist_ok=True)
        shutil.copy(one.secret, two.secret)
        two.found()
        two.start()
        two[2].stop()
        two[2].seeds.append(one[1].mesh_address)
        two[2].start()

        def counted():
            return sum(
                broker.stats()[side]["foreignCluster"] for broker in (*one, *two)
                for side in ("handshakesRefused", "handshakesDeclined"))
        wait_until(lambda: counted() > 0, 20, "a refusal that is counted")
        two.await_agreement()
        one.await_agreement()
        ours, theirs = one[1].info()["clusterId"], two[1].info()["clusterId"]
        check(ours != theirs, "both have one cluster id")
        check({b.info()["clusterId"] for b in two} == {theirs}, "a broker changed its mesh")
        for mesh in (one, two):
            for broker in mesh:
                check(set(broker.members()) == {1, 2}, f"members {broker.members()}")
                check(broker.members()[2]["address"] == mesh[2].mesh_address, "addresses mixed up")
        count = counted()
    return f"{count} handshakes refused and counted"


@case
def questions_need_the_secret(stage):
    """Operators get in by the socket of the directory's owner, or by the secret; nobody else does."""
    with Mesh(2, stage.binary) as mesh, Mesh(1, stage.binary) as other:
        mesh.start()
        other.found()
        for broker in mesh:
            mode = (broker.data / "admin.sock").stat().st_mode & 0o777
            check(mode == 0o600, f"admin.sock has mode {mode:o}")

        def ask(secret):
            return mesh[1].cli("gossip", "members", "--via", mesh[2].mesh_address, "--secret-file",
                               secret, "-o", "json", check=False)
        done = ask(mesh.secret)
        check(done.returncode == 0, f"with the secret: {done.stderr}")
        check(len(json.loads(done.stdout)["members"]) == 2, done.stdout)
        refusals = mesh[2].stats()["handshakesRefused"]
        done = ask(other.secret)
        check(done.returncode != 0 and "secret" in done.stderr and not done.stdout,
              f"with another secret: {done.returncode} {done.stdout}{done.stderr}")
        now = mesh[2].stats()
        rise = sum(now["handshakesRefused"].values()) - sum(refusals.values())
        check(rise + sum(now["handshakesDeclined"].values()) > 0, "the refusal was not counted")
    return done.stderr.strip()
