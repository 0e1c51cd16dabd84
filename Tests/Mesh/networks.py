"""Networks that lose, cut and block, in namespaces: one bridge, one namespace for each broker."""

import itertools
import os
import subprocess
import time

import cases
from broker import at_end, wait_until
from cases import Skip, case, check
from mesh import PRESENT, Mesh

def run(*words, check=True):
    # A group of its own: Ctrl-C must not end what heals a network.
    return subprocess.run(words, capture_output=True, text=True, check=check, timeout=20,
                          start_new_session=True)


class Network:
    """A bridge and namespaces, each with one address; gone at the end of the `with` block."""

    serial = itertools.count(1)

    def __init__(self, count):
        if os.geteuid() != 0:
            raise Skip("cutting networks needs root and network namespaces")
        # Interface names have 15 bytes at most; the kernel takes those of an ended namespace away
        # later, and other sessions on this machine have networks of their own.
        serial = next(self.serial)
        self.tag = f"g{os.getpid() % 100_000}{'abcdefghijklmnop'[serial % 16]}"
        self.subnet = f"10.{213 + os.getpid() % 40}.{serial * 16 % 256 + os.getpid() % 16}"
        self.bridge = f"{self.tag}br"
        self.names = [f"{self.tag}n{node}" for node in range(1, count + 1)]
        self.hosts = [f"{self.subnet}.{node}" for node in range(1, count + 1)]
        self.made = []
        at_end(self.close)

    def __enter__(self):
        try:
            run("ip", "netns", "add", self.names[0])
        except (OSError, subprocess.CalledProcessError) as error:
            raise Skip(f"`ip netns add` fails here: {getattr(error, 'stderr', error)}") from None
        self.made.append(self.names[0])
        try:
            run("ip", "link", "add", self.bridge, "type", "bridge")
            run("ip", "addr", "add", f"{self.subnet}.254/24", "dev", self.bridge)
            run("ip", "link", "set", self.bridge, "up")
            for number, name in enumerate(self.names):
                if number:
                    run("ip", "netns", "add", name)
                    self.made.append(name)
                outer = f"{self.tag}v{number + 1}"
                run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
                run("ip", "link", "set", outer, "master", self.bridge, "up")
                run("ip", "-n", name, "addr", "add", f"{self.hosts[number]}/24", "dev", "eth0")
                run("ip", "-n", name, "link", "set", "eth0", "up")
                run("ip", "-n", name, "link", "set", "lo", "up")
            self.rule(1, "-A", "INPUT", "-p", "udp", "--dport", "1", "-j", "DROP")
            self.heal()
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            raise Skip(f"no network of namespaces here: {getattr(error, 'stderr', error)}") from None
        return self

    def rule(self, node, *words):
        run("ip", "netns", "exec", self.names[node - 1], "iptables", "-w", *words)

    def drop(self, node, *words, chain="INPUT"):
        self.rule(node, "-A", chain, *words, "-j", "DROP")

    def drop_from(self, node, source, *words):
        """What `source` sends does not reach `node`: one way."""
        self.drop(node, "-s", self.hosts[source - 1], *words)

    def cut_off(self, node, *words):
        """Nothing passes between `node` and any other, as if the cable were out.

        Dropped where it arrives: a rule at the sender makes its system calls fail, which is
        another fault."""
        self.drop(node, "-i", "eth0", *words)
        for other in range(1, len(self.names) + 1):
            if other != node:
                self.drop_from(other, node, *words)

    def dropped(self, node):
        """Packets that the rules of a namespace have dropped."""
        listed = run("ip", "netns", "exec", self.names[node - 1], "iptables", "-w", "-nvxL").stdout
        return sum(int(line.split()[0]) for line in listed.splitlines() if " DROP " in line)

    def heal(self):
        for node in range(1, len(self.names) + 1):
            self.rule(node, "-F")

    def mesh(self, stage, count=None, first=0, **more):
        chosen = slice(first, first + (count or len(self.names)))
        return Mesh(len(self.names[chosen]), stage.binary, hosts=self.hosts[chosen],
                    namespaces=self.names[chosen], **more)

    def close(self):
        if self.made:
            for name in self.made:
                run("ip", "netns", "del", name, check=False)
            run("ip", "link", "del", self.bridge, check=False)
        self.made = []

    def __exit__(self, *_):
        self.close()


def watch(mesh, seconds, act=lambda elapsed: None):
    """Polls all brokers for so long; returns {(observer, node)} that were ever dead or left."""
    fallen = set()
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds:
        for broker in mesh:
            for node, row in broker.members().items():
                if row["state"] not in PRESENT and row["state"] != "unheard":
                    fallen.add((broker.node_id, node))
        act(elapsed)
        time.sleep(0.05)
    return fallen


@case
def one_way_cut_between_two(stage):
    """What 2 sends does not reach 3, all else does: helpers vouch, nobody is declared dead."""
    with Network(3) as network, network.mesh(stage) as mesh:
        mesh.start()
        network.drop_from(3, 2)
        fallen = watch(mesh, 15)
        check(not fallen, f"declared dead: {fallen}")
        # A decision of 3 has to come about, and to spread, past the cut.
        cases.create_topic(mesh[3], "past-the-cut", 1)
        mesh.await_topic("past-the-cut")
        dropped = network.dropped(3)
        check(dropped > 5, f"only {dropped} packets were cut off")
        suspicions = {b.node_id: b.stats()["gossip"]["suspicions"] for b in mesh}
        network.heal()
        mesh.await_agreement()
    return f"15 s, {dropped} packets cut off, 0 declared dead, suspicions {suspicions}"


@case
def one_way_cut_of_a_broker(stage):
    """3 hears nobody and is heard by all: it is out, knows that it is the sick one, and comes back."""
    with Network(4) as network, network.mesh(stage) as mesh:
        mesh.start()
        for node in (1, 2, 4):
            network.drop_from(3, node)
        begin = time.monotonic()
        rest = [mesh[n] for n in (1, 2, 4)]
        seen = mesh.await_states(3, ("dead",), among=rest, since=begin, deadline=20)
        wait_until(lambda: mesh[3].info()["isSelfIsolated"], 20, "3 knows that it is cut off")
        for broker in rest:
            for other in rest:
                check(broker.state(other.node_id) in PRESENT, f"{broker.node_id} lost {other.node_id}")
        network.heal()
        begin = time.monotonic()
        mesh.await_agreement(30)
        back = time.monotonic() - begin
        wait_until(lambda: not mesh[3].info()["isSelfIsolated"], 20, "3 knows that it is back")
    return f"dead at {', '.join(f'{t:.1f}' for t in seen.values())} s, back {back:.1f} s after"


@case
def long_cut_heals_by_itself(stage):
    """All packets of 3 are dropped for 35 s; nobody restarts anything; tables become one again."""
    with Network(4) as network, network.mesh(stage) as mesh:
        mesh.start()
        network.cut_off(3)
        begin = time.monotonic()
        rest = [mesh[n] for n in (1, 2, 4)]
        seen = mesh.await_states(3, ("dead",), among=rest, since=begin, deadline=20)
        cases.create_topic(mesh[1], "meanwhile", 2)
        cases.create_topic(mesh[2], "gone-again", 1)
        cases.Administrator(mesh[4]).delete("gone-again")
        wait_until(lambda: time.monotonic() - begin > 35, 40, "35 s of the cut", 0.2)
        check(not mesh[3].has_topic("meanwhile"), "the cut leaks")
        network.heal()
        begin = time.monotonic()
        mesh.await_agreement(30)
        back = time.monotonic() - begin
        mesh.await_topic("meanwhile", 30)
        mesh.await_same_table(30)
        same = time.monotonic() - begin
        check("gone-again" not in cases.metadata(mesh[3])[1], "a deleted topic came back")
    took = ", ".join(f"{t:.1f}" for t in seen.values())
    return (f"dead at {took} s; after 35 s all know all {back:.1f} s and one table {same:.1f} s "
            "after the heal")


@case
def random_loss(stage):
    """30 % of all packets lost at every broker, both ways, for 60 s: nobody is declared dead."""
    with Network(5) as network, network.mesh(stage) as mesh:
        mesh.start()
        for node in range(1, 6):
            network.drop(node, "-i", "eth0", "-m", "statistic", "--mode", "random",
                         "--probability", "0.3")
        spread = []

        def act(elapsed):
            if elapsed > 5 + 10 * len(spread):
                maker = mesh[1 + len(spread) % 5]
                name = f"lossy-{len(spread)}"
                maker.cli("topic", "create", name, "--partitions", "1", "--bootstrap",
                          maker.bootstrap, timeout=60)
                begin = time.monotonic()
                mesh.await_topic(name, 20)
                spread.append(time.monotonic() - begin)

        fallen = watch(mesh, 60, act)
        check(not fallen, f"declared dead: {fallen}")
        counts = [broker.stats()["gossip"] for broker in mesh]
        dropped = sum(network.dropped(node) for node in range(1, 6))
        deaths = sum(c["deaths"] for c in counts)
        check(deaths == 0, f"{deaths} declared dead")
        network.heal()
        mesh.await_agreement()
        mesh.await_same_table()
    return (f"60 s, {dropped} packets lost, 0 declared dead, {sum(c['suspicions'] for c in counts)} suspicions, "
            f"{sum(c['refutations'] for c in counts)} refutations, {len(spread)} topics at all "
            f"after at most {max(spread):.2f} s")


@case
def datagram_hole(stage):
    """UDP of 3 is blocked, TCP is open: flagged, not dead; the flag goes when the hole is closed."""
    with Network(4) as network, network.mesh(stage) as mesh:
        mesh.start()
        network.cut_off(3, "-p", "udp")
        rest = [mesh[n] for n in (1, 2, 4)]
        begin = time.monotonic()

        def flagged():
            states = [broker.members()[3] for broker in rest]
            for row in states:
                check(row["state"] in PRESENT, f"declared {row['state']}: {row}")
            return all(row["isUdpBlocked"] for row in states)

        wait_until(flagged, 20, "isUdpBlocked at 1, 2 and 4", 0.02)
        took = time.monotonic() - begin
        fallen = watch(mesh, 15)
        check(not fallen, f"declared dead: {fallen}")
        cases.create_topic(mesh[3], "over-tcp", 1)
        mesh.await_topic("over-tcp")
        listed = mesh[1].cli("gossip", "members", "--data-dir", mesh[1].data)
        check("UDP_BLOCKED" in listed.stdout, f"gossip members does not say it: {listed.stdout}")
        network.heal()
        wait_until(lambda: not any(b.members()[3]["isUdpBlocked"] for b in rest), 30,
                   "no flag after the hole is closed", 0.05)
        healed = time.monotonic() - begin
    return f"flagged at all after {took:.1f} s, 15 s not dead, flag gone {healed - took - 15:.1f} s later"


@case
def sending_fails_for_a_while(stage):
    """A rule of its own host makes every datagram that 3 sends fail: TCP carries on, UDP comes back."""
    with Network(3) as network, network.mesh(stage) as mesh:
        mesh.start()
        network.drop(3, "-p", "udp", chain="OUTPUT")
        rest = [mesh[1], mesh[2]]
        wait_until(lambda: all(b.members()[3]["isUdpBlocked"] for b in rest), 20,
                   "isUdpBlocked at 1 and 2", 0.02)
        fallen = watch(mesh, 5)
        check(not fallen, f"declared dead: {fallen}")
        network.heal()
        received = mesh[3].stats()["transport"]["datagramsReceived"]
        wait_until(lambda: mesh[3].stats()["transport"]["datagramsReceived"] > received + 3, 15,
                   "datagrams at 3 after its sending works again: is its UDP socket still there?", 0.05)
        wait_until(lambda: not any(b.members()[3]["isUdpBlocked"] for b in rest), 15,
                   "no flag after sending works again", 0.05)
    return "flagged, not dead, and back"


@case
def two_meshes_meet(stage):
    """Two meshes on one network, one told of the other's seed: refused, counted, both unharmed."""
    with Network(4) as network:
        with network.mesh(stage, 2) as one, network.mesh(stage, 2, first=2) as two:
            one.start()
            two.start()
            two[1].ask("join", address=one[1].mesh_address)
            one[2].ask("join", address=two[2].mesh_address)

            def counted():
                return {
                    (name, broker.node_id): sum(broker.stats()["handshakesRefused"].values())
                    + sum(broker.stats()["handshakesDeclined"].values())
                    for name, mesh in (("one", one), ("two", two)) for broker in mesh}
            wait_until(lambda: min(counted()[key] for key in (("one", 1), ("two", 1), ("one", 2),
                                                              ("two", 2))) > 0,
                       20, "refusals at both ends of both links")
            for mesh in (one, two):
                mesh.await_agreement()
                for broker in mesh:
                    hosts = {row["address"] for row in broker.members().values()}
                    check(hosts == {b.mesh_address for b in mesh}, f"members at {hosts}")
            count = counted()
    return f"refused and counted: {sum(count.values())} handshakes"
