"""Who gets in, how soon everybody knows, and who does not get in."""

import json
import os
import shutil
import time

from cases import case, check, refused
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
