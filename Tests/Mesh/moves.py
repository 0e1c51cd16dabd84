"""Leaderships that move on purpose: brokers stop in order, and clients hardly notice."""

import signal
import threading
import time

from broker import wait_until
from cases import at_most, case, check
from mesh import Mesh
from replicas import Writer, await_in_sync, create_replicated, leaders, verify

# The aim is 0.1 s; the bound leaves room for the machines that run the tests.
PAUSE_BOUND = 0.5


def started(stage, count=3):
    mesh = Mesh(count, stage.binary)
    mesh.start()
    wait_until(lambda: len(mesh[1].info()["voters"]) == 3, 10, "three voters", 0.05)
    return mesh


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
    """Each of three brokers is stopped in order and started again under an idempotent producer."""
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
            writer.forget_pauses()
            mesh[victim].start()
            await_in_sync(mesh, "safe")
            writer.await_progress()
            pauses.append(f"{1000 * down:.0f} ms stopping, "
                          f"{1000 * max(writer.pauses.values()):.0f} ms starting")
        writer.finish()
        count = verify(writer, mesh[2], "safe")
    return f"{writer.count()} acknowledged, {count} found; longest pauses {', '.join(pauses)}"
