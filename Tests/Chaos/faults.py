"""What can be done to a mesh under its clients. Each fault undoes itself."""

import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from broker import BrokerError
from cases import check
from replicas import await_in_sync

# How often each is drawn, against the others.
WEIGHTS = {"kill": 5, "pause": 4, "stop": 3, "cut": 4, "one-way cut": 2, "loss": 3, "slow disk": 3,
           "frozen disk": 2, "full disk": 3, "wipe": 2, "member killed": 2, "two at once": 4,
           "rolling restart": 1, "all killed": 1}
OF_DISKS = ("slow disk", "frozen disk", "full disk")
# What may happen to one broker while another of them happens to another.
OF_ONE = ("kill", "pause", "cut", "one-way cut", *OF_DISKS)
# What the README of the broker says to do where a log or a voter takes no writes any more.
RESTARTED_AFTER = 20


class Faults:
    """Draws faults and does them; `victims` are different brokers, fewer than half of them."""

    def __init__(self, mesh, network, disks, dice, stop):
        self.mesh, self.network, self.disks = mesh, network, disks
        self.dice, self.stop = dice, stop
        self.names = [name for name in WEIGHTS if not (disks.missing and name in OF_DISKS)
                      and (name != "two at once" or len(list(mesh)) > 3)]
        self.weights = [WEIGHTS[name] for name in self.names]
        self.topic, self.clients = None, None
        self.detail, self.note, self.parts = "", "", {}

    def limit(self, names):
        """Draws only these."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise SystemExit(f"error: --only {','.join(unknown)}: there is {', '.join(self.names)}")
        self.names, self.weights = list(names), [WEIGHTS[name] for name in names]

    def draw(self):
        name = self.dice.choices(self.names, self.weights)[0]
        count = len(list(self.mesh))
        return name, self.dice.sample(range(1, count + 1), count // 2)

    def do(self, name, victims):
        self.detail, self.note, self.parts = "", "", {}
        getattr(self, name.replace(" ", "_").replace("-", "_") + "_fault")(victims)

    def some_time(self, least=0.5, most=5.0):
        """Some time, cut short by Ctrl-C: a fault that was begun is always undone."""
        self.stop.wait(self.dice.uniform(least, most))

    def kill_fault(self, victims):
        for node in victims:
            self.mesh[node].kill()
        self.some_time()
        for node in victims:
            self.mesh[node].start()

    def stop_fault(self, victims):
        for node in victims:
            check(self.mesh[node].stop() == 0, f"{node} did not stop cleanly")
        self.some_time(0.1, 3)
        for node in victims:
            self.mesh[node].start()

    def pause_fault(self, victims):
        for node in victims:
            self.mesh[node].send_signal(signal.SIGSTOP)
        # Both shorter and longer than a client waits for an answer, and than members are doubted.
        self.some_time(0.5, 10.0)
        for node in victims:
            self.mesh[node].send_signal(signal.SIGCONT)

    def cut_fault(self, victims):
        for node in victims:
            self.network.cut_off(node)
        self.some_time()
        self.network.heal()

    def one_way_cut_fault(self, victims):
        for node in victims:
            for other in self.mesh:
                if other.node_id != node:
                    self.network.drop_from(node, other.node_id)
        self.some_time()
        self.network.heal()

    def loss_fault(self, victims):
        """A part of all packets to the victims, from clients too, and of those from them."""
        share = self.dice.choice([0.05, 0.1, 0.2, 0.3])
        self.detail = f"{share:.0%}"
        words = ("-m", "statistic", "--mode", "random", "--probability", str(share))
        for node in victims:
            self.network.drop(node, "-i", "eth0", *words)
            for other in self.mesh:
                if other.node_id not in victims:
                    self.network.drop_from(other.node_id, node, *words)
        self.some_time(3, 10)
        self.network.heal()

    def slow_disk_fault(self, victims):
        writes = self.dice.choice([3, 10, 30])
        self.detail = f"{writes} writes/s"
        for node in victims:
            self.disks[node].slow(writes)
        self.some_time(3, 10)
        for node in victims:
            self.disks[node].slow(0)

    def frozen_disk_fault(self, victims):
        for node in victims:
            self.disks[node].freeze()
        self.some_time(0.5, 6)
        for node in victims:
            self.disks[node].thaw()

    def full_disk_fault(self, victims):
        for node in victims:
            self.disks[node].fill()
        self.some_time(2, 8)
        for node in victims:
            self.disks[node].make_room()

    def wipe_fault(self, victims):
        node = victims[0]
        self.mesh[node].kill()
        shutil.rmtree(self.mesh[node].data)
        self.mesh.await_states(node, ("dead",))
        seeds = [broker.mesh_address for broker in self.mesh if broker.node_id != node]
        self.mesh[node].seeds = seeds
        self.mesh[node].start()

    def two_at_once_fault(self, victims):
        """Different faults of different brokers, in the same seconds."""
        names = self.dice.sample([name for name in OF_ONE if not (
            self.disks.missing and name in OF_DISKS)], 2)
        parts = [Faults(self.mesh, self.network, self.disks, random.Random(self.dice.random()),
                        self.stop) for _ in names]
        self.parts = dict(zip(map(str, victims), names))
        self.detail = " and ".join(f"{name} of {node}" for node, name in self.parts.items())
        with ThreadPoolExecutor() as pool:
            done = [pool.submit(part.do, name, [node])
                    for part, name, node in zip(parts, names, victims)]
        for one in done:
            one.result()

    def member_killed_fault(self, victims):
        """A consumer dies while it has partitions; another of its group reads on."""
        member = self.dice.choice(self.clients.members())
        self.detail = member
        self.clients.kill(member)
        self.some_time(0.5, 12)
        self.clients.start(member)

    def rolling_restart_fault(self, victims):
        for broker in self.mesh:
            if self.stop.is_set():
                return
            check(broker.stop() == 0, f"{broker.node_id} did not stop cleanly")
            broker.start()
            self.settle("rolling restart", [broker.node_id])

    def all_killed_fault(self, victims):
        self.mesh.kill()
        self.some_time(0.1, 1)
        for broker in self.mesh:
            broker.spawn()
        for broker in self.mesh:
            broker.await_ready()

    def victims_of(self, name, victims):
        """Which brokers a fault is about, as a person would say it."""
        if name in ("rolling restart", "all killed"):
            return [broker.node_id for broker in self.mesh]
        return {"wipe": victims[:1], "member killed": []}.get(name, victims)

    def settle(self, name=None, victims=()):
        """Until the mesh can take the next fault: what it promises is about one at a time.

        Where a full disk left a log that takes no writes, the broker is restarted, as its operator
        is told to do; the note says so."""
        if name in OF_DISKS or "disk" in self.detail:
            try:
                return self.settled(RESTARTED_AFTER)
            except BrokerError:
                self.note = f"{victims} had to be restarted after that"
                for node in victims:
                    self.mesh[node].stop()
                    self.mesh[node].start()
        self.settled(90)

    def settled(self, deadline):
        end = time.monotonic() + deadline
        brokers = list(self.mesh)
        await_in_sync(self.mesh, self.topic, copies=len(brokers), deadline=deadline)
        for broker, asked in zip(brokers, brokers[1:] + brokers[:1]):
            wait = max(5, int(end - time.monotonic()))
            said = asked.cli("cluster", "safe-to-stop", str(broker.node_id), "--wait", f"{wait}s",
                             "--data-dir", asked.data, check=False, timeout=wait + 10)
            if said.returncode != 0:
                raise BrokerError(f"{broker.node_id} is not safe to stop: "
                                  f"{said.stdout}{said.stderr}")

    def undo(self):
        """Heals everything, whatever was being done when it was interrupted."""
        self.network.heal()
        self.disks.mend()
        for broker in self.mesh:
            broker.send_signal(signal.SIGCONT)
            if not broker.alive():
                broker.start()
