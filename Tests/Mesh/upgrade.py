"""Data directories of the single-broker version open unchanged, alone and as the first of a mesh."""

import os
import secrets
import shutil
import tarfile
import time

import cases
from cases import HERE, case, check
from mesh import Mesh, MeshBroker

FIXTURE = HERE / "fixtures/single-broker.tar.xz"
NODE = 7


def unpack(mesh, name):
    """A broker on a copy of the old directory `name`."""
    with tarfile.open(FIXTURE) as tar:
        tar.extractall(mesh.directory / "old", filter="data")
    broker = mesh.add(NODE, name=name)
    broker.directory.mkdir(parents=True)
    shutil.move(mesh.directory / "old" / name, broker.data)
    # Empty directories and files carry the modes of whoever unpacked them.
    return broker


def is_as_it_was(broker, asked):
    """Everything that the old version had acknowledged, by whichever broker is asked."""
    _, topics = cases.metadata(asked)
    check(set(topics) == {"orders", "audit.log"}, f"topics {set(topics)}")
    check(len(topics["orders"]) == 3 and len(topics["audit.log"]) == 1, f"partitions {topics}")
    leaders = {leader for rows in topics.values() for leader, _ in rows.values()}
    check(leaders == {broker.node_id}, f"leaders {leaders}")
    one = cases.Administrator(asked)
    check(one.config("orders", "retention.ms") == "987654321", "retention.ms of orders")
    check(one.config("audit.log", "flush.messages") == "1", "flush.messages of audit.log")
    check("billing" in one.groups(), f"groups {one.groups()}")
    offsets = cases.committed(asked, "billing", "orders")
    check(offsets == {0: 20, 1: 20, 2: 20}, f"offsets {offsets}")
    got = sorted(cases.consume(asked, "orders", 63))
    check(got == sorted([f"order {n}" for n in range(60)] + [f"later {n}" for n in range(3)]), f"{got}")
    got = cases.consume(asked, "audit.log", 10)
    check(got == [f"entry {n}" for n in range(10)], f"{got}")


def upgraded(stage, name):
    """First alone, as it was run before; then as the founder of a mesh that another joins."""
    with Mesh(0, stage.binary) as mesh:
        old = unpack(mesh, name)
        alone = MeshBroker(
            stage.binary, NODE, old.directory, None, port=old.port, mesh_port=old.mesh_port)
        alone.command = lambda: [
            alone.binary, "serve", "--data-dir", str(alone.data), "--node-id", str(NODE),
            "--kafka", alone.bootstrap]
        try:
            alone.start()
            opened = time.monotonic()
            is_as_it_was(alone, alone)
            rest = cases.consume(alone, "orders", 3, group="billing", commit=True)
            check(sorted(rest) == ["later 0", "later 1", "later 2"], f"the group goes on with {rest}")
            cases.publish(alone, "orders", ["new"], 1)
            check(alone.stop() == 0, "exit code")
        finally:
            if alone.alive():
                alone.kill()
        took = time.monotonic() - opened
        # Again from the fixture, now with a mesh address and a secret.
        shutil.rmtree(old.directory)
        mesh.brokers.clear()
        old = unpack(mesh, name)
        mesh.secret.write_text(secrets.token_hex(32) + "\n")
        os.chmod(mesh.secret, 0o600)
        old.start()
        is_as_it_was(old, old)
        other = mesh.add(8)
        other.start()
        mesh.await_agreement()
        mesh.await_same_table()
        is_as_it_was(old, other)
        cases.create_topic(other, "shared", 1)
        cases.publish(old, "shared", ["v"], 1)
        check(cases.consume(other, "shared", 1) == ["v"], "a topic of the newcomer")
        for broker in mesh:
            broker.stop()
        mesh.start()
        _, topics = cases.metadata(other)
        check(set(topics) == {"orders", "audit.log", "shared"}, f"topics {set(topics)}")
    return f"topics, configs, records, group offsets; checked in {took:.1f} s, then joined by another"


@case
def old_directory_left_cleanly(stage):
    return upgraded(stage, "clean")


@case
def old_directory_after_a_kill(stage):
    return upgraded(stage, "killed")
