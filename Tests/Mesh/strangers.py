"""Bytes on the mesh port that no member meant: none is accepted, all are counted, nothing grows."""

import os
import random
import select
import socket
import struct
import threading
import time

from broker import BrokerError, wait_until
from cases import Failure, Skip, case, check
from mesh import Mesh, free_port

MIB = 1 << 20
# A connection, a buffer and a handshake for each stranger, with room for the allocator.
GROWTH = 48 * MIB
MAGIC = 0x474D4553


def total(counters, *groups):
    return sum(sum(counters[group].values()) for group in groups)


def frame(body):
    return struct.pack(">I", len(body)) + body


def hello(version=1, flags=1, key=None, extra=b""):
    return frame(struct.pack(">BIBB", 1, MAGIC, version, flags) + (key or os.urandom(32)) + extra)


class Guarded:
    """A mesh that a stranger may not harm: compares before and after."""

    def __init__(self, stage, count=3):
        self.mesh = Mesh(count, stage.binary)

    def __enter__(self):
        self.mesh.start()
        # Links and caches settle: memory is compared with what a mesh at rest takes.
        self.mesh.await_same_table()
        self.target = self.mesh[1]
        self.lives = {b.node_id: (b.pid, b.info()["bootEpoch"]) for b in self.mesh}
        self.before = self.target.stats()
        self.memory = self.target.status("VmRSS")
        self.keys = {row["nodeId"]: row for row in self.target.ask("keys")["keys"]["admissions"]}
        return self

    def unharmed(self):
        """Every broker lives, knows all, has the same members and keys, and took little memory."""
        self.mesh.await_agreement()
        for broker in self.mesh:
            check((broker.pid, broker.info()["bootEpoch"]) == self.lives[broker.node_id],
                  f"broker {broker.node_id} was restarted")
            deaths = broker.stats()["gossip"]["deaths"]
            check(deaths == 0, f"broker {broker.node_id} declared {deaths} members dead")
        keys = {row["nodeId"]: row for row in self.target.ask("keys")["keys"]["admissions"]}
        check(keys == self.keys, "an admission changed")
        growth = self.target.status("VmRSS") - self.memory
        check(growth < GROWTH, f"{growth / MIB:.0f} MiB more memory")
        return f"{max(0, growth) / MIB:.0f} MiB more memory"

    def rise(self, *groups):
        now = self.target.stats()
        return total(now, *groups) - total(self.before, *groups)

    def rise_of(self, group, reason):
        return self.target.stats()[group][reason] - self.before[group][reason]

    def __exit__(self, *error):
        self.mesh.__exit__(*error)


def talk(address, data, patience=8.0, source=None):
    """Sends and reads until the other side closes; returns what it answered, and whether it closed."""
    answer = bytearray()
    with socket.socket() as connection:
        if source:
            connection.bind((source, 0))
        connection.settimeout(patience)
        connection.connect(address)
        try:
            connection.sendall(data)
            while part := connection.recv(65_536):
                answer += part
        except socket.timeout:
            return bytes(answer), False
        except ConnectionError:
            pass
    return bytes(answer), True


@case
def malformed_links(stage):
    """Random, oversized, truncated and malformed TCP: closed, counted, answered by nearly nothing."""
    source = random.Random(1)
    with Guarded(stage) as guarded:
        address = (guarded.target.host, guarded.target.mesh_port)
        attempts = {
            "zeros": b"\0" * 64,
            "length 4 GiB": b"\xff" * 64,
            "length over the cap": struct.pack(">I", 513) + b"\1" * 513,
            "length 0": frame(b"") + b"\0" * 60,
            "wrong magic": frame(struct.pack(">BIBB", 1, 0xDEADBEEF, 1, 1) + os.urandom(32)),
            "other version": hello(version=9),
            "unknown flags": hello(flags=0x80),
            "bytes behind the hello": hello(extra=b"more"),
            "short hello": hello()[:-5] + b"",
            "key of zeros": hello(key=b"\0" * 32),
            "an answer first": frame(b"\2" + os.urandom(300)),
            "an identity first": frame(b"\3" + os.urandom(300)),
            "an accept first": frame(b"\4" + os.urandom(17)),
            "unknown kind": frame(b"\x63" + os.urandom(40)),
            "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(600),
            "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 100,
            "Kafka": struct.pack(">ihhih", 20, 18, 0, 1, 6) + b"client" + b"\0" * 60,
        }
        for name, data in attempts.items():
            answer, _ = talk(address, data)
            check(len(answer) <= len(data), f"{name}: {len(answer)} bytes for {len(data)}")
        for _ in range(40):
            data = source.randbytes(source.randrange(1, 900))
            answer, _ = talk(address, data, patience=6.5)
            check(len(answer) <= len(data), f"random: {len(answer)} bytes for {len(data)}")
        # A hello that is right is answered, because a member's could not be told from it; what
        # follows has to be an identity that the transcript proves.
        for second in (frame(b"\3" + os.urandom(250)), frame(b"\6" + os.urandom(17)), b"\xff" * 80):
            answer, closed = talk(address, hello() + second)
            check(closed and len(answer) < 512, f"{len(answer)} bytes, closed: {closed}")
        sent = len(attempts) + 40 + 3

        def counted():
            return guarded.rise("handshakesRefused", "handshakesDeclined", "acceptsRefused")
        wait_until(lambda: counted() >= sent, 15, f"{sent} refusals that are counted")
        count = counted()
        memory = guarded.unharmed()
    return f"{sent} connections, {count} refusals counted, {memory}"


@case
def slow_handshakes(stage):
    """More half-open connections than are taken, from many addresses: capped, timed out, members stay."""
    with Guarded(stage) as guarded:
        address = (guarded.target.host, guarded.target.mesh_port)
        held, highest = [], 0
        try:
            for number in range(700):
                connection = socket.socket()
                # Each address of 127.0.0.0/8 is a source with a bucket of its own.
                connection.bind((f"127.0.1.{1 + number % 200}", 0))
                connection.settimeout(2)
                try:
                    connection.connect(address)
                    connection.send(b"\0\0")
                    held.append(connection)
                except OSError:
                    connection.close()
                if number % 50 == 0:
                    highest = max(highest, guarded.target.stats()["transport"]["handshakesOpen"])
            highest = max(highest, guarded.target.stats()["transport"]["handshakesOpen"])
            wait_until(lambda: guarded.rise_of("acceptsRefused", "tooManyHalfOpen") > 0, 5,
                       "connections beyond the cap are refused")
            refused = guarded.rise("acceptsRefused")
            check(highest <= 256, f"{highest} handshakes open at once")
            # Members that are linked already notice nothing meanwhile.
            for broker in guarded.mesh:
                states = {row["state"] for row in broker.members().values()}
                check(states == {"alive"}, f"{broker.node_id} sees {states}")
            wait_until(lambda: guarded.target.stats()["transport"]["handshakesOpen"] == 0, 12,
                       "every half-open handshake timed out", 0.1)
        finally:
            for connection in held:
                connection.close()
        timed_out = guarded.rise_of("handshakesRefused", "timedOut")
        # And a member that has to open a link afterwards can.
        guarded.mesh[3].kill()
        guarded.mesh.await_states(3, ("dead",))
        guarded.mesh[3].start()
        guarded.mesh.await_agreement()
        growth = guarded.target.status("VmRSS") - guarded.memory
        check(growth < GROWTH, f"{growth / MIB:.0f} MiB more memory")
    return f"700 connections: at most {highest} open, {refused} refused, {timed_out} timed out"


@case
def one_source_is_slowed(stage):
    """One address that opens connections without end is refused most; another gets through."""
    with Guarded(stage) as guarded:
        address = (guarded.target.host, guarded.target.mesh_port)
        for _ in range(1_200):
            with socket.socket() as connection:
                connection.bind(("127.0.2.1", 0))
                connection.settimeout(2)
                try:
                    connection.connect(address)
                except OSError:
                    pass
        wait_until(lambda: guarded.rise_of("acceptsRefused", "sourceTooFast") > 0, 5, "refusals")
        refused = guarded.rise_of("acceptsRefused", "sourceTooFast")
        guarded.mesh.add(4).start()
        guarded.mesh.await_agreement()
        growth = guarded.target.status("VmRSS") - guarded.memory
        check(growth < GROWTH, f"{growth / MIB:.0f} MiB more memory")
    return f"1,200 connections, {refused} refused; a newcomer joined"


@case
def random_datagrams(stage):
    """UDP of strangers, all sizes: no answer at all, all counted, the mesh unharmed."""
    source = random.Random(2)
    with Guarded(stage) as guarded:
        address = (guarded.target.host, guarded.target.mesh_port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            sent = 0
            for size in [0, 1, 3, 4, 8, 20, 23, 24, 1_399, 1_400, 1_401, 9_000, 65_000] * 4:
                stranger.sendto(source.randbytes(size), address)
                sent += 1
            for _ in range(2_000):
                stranger.sendto(source.randbytes(source.randrange(1, 1_500)), address)
                sent += 1
                if sent % 100 == 0:  # the receiver's buffer is not what is tested here
                    target = sent - 1
                    wait_until(lambda: guarded.rise("datagramDrops") >= target - 60, 5,
                               "datagrams that are counted", 0.001)
            wait_until(lambda: guarded.rise("datagramDrops") + overflowed(guarded.target) >= sent, 5,
                       "every datagram is counted, by the broker or as lost by the kernel")
            stranger.setblocking(False)
            answered = select.select([stranger], [], [], 0)[0]
            check(not answered, "a stranger's datagram was answered")
        counted, lost = guarded.rise("datagramDrops"), overflowed(guarded.target)
        memory = guarded.unharmed()
    return f"{sent} datagrams, {counted} counted, {lost} lost in the kernel, 0 answers, {memory}"


def overflowed(broker):
    """Datagrams that the kernel dropped because the broker's socket was full."""
    with open("/proc/net/udp") as table:
        rows = [line.split() for line in table if f":{broker.mesh_port:04X} " in line]
    return sum(int(row[-1]) for row in rows)


class Sniffer:
    """Datagrams on the loopback interface between two ports, and a way to send them again."""

    def __init__(self):
        try:
            self.tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
            self.tap.bind(("lo", 0))
            self.spoof = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        except (PermissionError, OSError) as error:
            raise Skip(f"recording datagrams needs root: {error}") from None

    def capture(self, source, target, count, deadline=20):
        """`count` datagrams' payloads that went from port `source` to port `target`."""
        payloads = []
        while select.select([self.tap], [], [], 0)[0]:
            self.tap.recv(65_536)  # what was on the wire before
        end = time.monotonic() + deadline
        while len(payloads) < count:
            if time.monotonic() > end:
                raise Failure(f"only {len(payloads)} datagrams from {source} to {target} on lo")
            if not select.select([self.tap], [], [], 0.5)[0]:
                continue
            packet, place = self.tap.recvfrom(65_536)
            head = (packet[0] & 15) * 4
            if packet[9] != socket.IPPROTO_UDP or place[2] == socket.PACKET_OUTGOING:
                continue  # loopback shows each packet twice
            ports = struct.unpack_from(">HH", packet, head)
            if ports == (source, target):
                length = struct.unpack_from(">H", packet, head + 4)[0]
                payloads.append(packet[head + 8:head + length])
        return payloads

    def send(self, payload, source, target):
        """As if it came from port `source` of this machine."""
        udp = struct.pack(">HHHH", source, target, 8 + len(payload), 0) + payload
        address = socket.inet_aton("127.0.0.1")
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
        self.spoof.sendto(head + address + address + udp, ("127.0.0.1", target))

    def close(self):
        self.tap.close()
        self.spoof.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@case
def recorded_datagrams(stage):
    """Replayed, reflected, redirected, flipped, and replayed after restarts of either side."""
    with Sniffer() as sniffer, Guarded(stage) as guarded:
        one, two, three = guarded.mesh[1], guarded.mesh[2], guarded.mesh[3]
        recorded = sniffer.capture(two.mesh_port, one.mesh_port, 8)
        results = {}

        def counted(name, broker, send, reasons, expected):
            before = broker.stats()["datagramDrops"]
            good = broker.stats()["gossip"]["forged"]
            send()

            def rise():
                now = broker.stats()["datagramDrops"]
                return sum(now[reason] - before[reason] for reason in reasons)
            try:
                wait_until(lambda: rise() >= expected, 5, f"{name}: {expected} counted in {reasons}")
            except BrokerError as error:
                now = broker.stats()["datagramDrops"]
                changes = {key: now[key] - before[key] for key in now if now[key] != before[key]}
                raise Failure(f"{error}: {changes}") from None
            check(broker.stats()["gossip"]["forged"] == good, f"{name}: reached the gossip machine")
            results[name] = rise()

        def again(target, source, payloads=recorded):
            return lambda: [sniffer.send(p, source.mesh_port, target.mesh_port) for p in payloads]

        counted("replayed", one, again(one, two), ["replayed"], 8)
        counted("reflected", two, again(two, one), ["unknownKey", "notAuthentic", "noKeys"], 8)
        counted("redirected", three, again(three, two), ["unknownKey", "notAuthentic", "noKeys"], 8)
        counted("other source", one, again(one, three), ["replayed", "notAuthentic", "unknownKey"], 8)

        flipped = []
        for payload in recorded:
            for bit in (0, 37, 8 * 9 + 1, 8 * (len(payload) // 2), 8 * len(payload) - 1):
                spoiled = bytearray(payload)
                spoiled[bit // 8] ^= 1 << bit % 8
                flipped.append(bytes(spoiled))
        counted("flipped", one, again(one, two, flipped),
                ["notAuthentic", "unknownKey", "malformed", "replayed"], len(flipped))
        cut = [payload[:-1] for payload in recorded] + [payload + b"\0" for payload in recorded]
        counted("cut or longer", one, again(one, two, cut),
                ["notAuthentic", "unknownKey", "malformed", "replayed"], len(cut))

        # Fresh ones that the receiver has never seen: recorded on the way to a broker that is down.
        unseen = sniffer.capture(three.mesh_port, one.mesh_port, 4)
        one.kill()
        one.start()
        guarded.mesh.await_agreement()
        counted("after the receiver's restart", one, again(one, two), ["unknownKey", "notAuthentic"], 8)
        counted("others after it", one, again(one, three, unseen), ["unknownKey", "notAuthentic"], 4)
        two.kill()
        two.start()
        guarded.mesh.await_agreement()
        recent = sniffer.capture(two.mesh_port, one.mesh_port, 4)
        two.kill()
        two.start()
        guarded.mesh.await_agreement()
        counted("after the sender's restart", one, again(one, two, recent),
                ["replayed", "unknownKey", "notAuthentic"], 4)
        for broker in guarded.mesh:
            check(broker.stats()["gossip"]["forged"] == 0, "something forged got to the gossip machine")
        guarded.mesh.await_agreement()
    return ", ".join(f"{name} {count}" for name, count in results.items()) + ", none accepted"


class Recorder:
    """A proxy in front of a mesh port that keeps what each client sent."""

    def __init__(self, target):
        self.target, self.streams = target, []
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.address = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            sent = bytearray()
            self.streams.append(sent)
            for source, sink, copy in ((client, server, sent), (server, client, None)):
                threading.Thread(target=self.pump, args=(source, sink, copy), daemon=True).start()

    @staticmethod
    def pump(source, sink, copy):
        try:
            while data := source.recv(65_536):
                if copy is not None:
                    copy += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                end.close()

    def close(self):
        self.listener.close()


@case
def forged_refusals(stage):
    """A stranger on a dead member's port says "your boot is stale" and "you are revoked": no proof."""
    reasons = {"wrongSecret": 5, "revoked": 6, "duplicateNodeID": 7, "staleBoot": 8}
    with Guarded(stage, 4) as guarded:
        mesh = guarded.mesh
        place = (mesh[4].host, mesh[4].mesh_port)
        mesh[4].kill()
        answered = dict.fromkeys(reasons, 0)
        listener = socket.create_server(place, backlog=64)
        listener.settimeout(0.2)
        end = time.monotonic() + 60
        try:
            # The dead are called for ever, so each of these words is heard by somebody.
            while min(answered.values()) < 2 and time.monotonic() < end:
                try:
                    caller, _ = listener.accept()
                except socket.timeout:
                    continue
                word = min(answered, key=answered.get)
                with caller:
                    caller.settimeout(2)
                    try:
                        caller.recv(512)
                        caller.sendall(frame(struct.pack(">BBB", 5, reasons[word], 1)))
                        caller.recv(1)
                        answered[word] += 1
                    except OSError:
                        pass
        finally:
            listener.close()
        check(min(answered.values()) >= 2, f"too few calls: {answered}")
        mesh[4].start()
        mesh.await_agreement()
        end = time.monotonic() + 3  # a clean stop takes a second
        while time.monotonic() < end:
            for broker in mesh:
                check(broker.alive(), f"broker {broker.node_id} believed it and ended: {broker.tail(3)}")
            time.sleep(0.1)
        check(len(mesh.running()) == 4, "a broker is missing")
    return f"{sum(answered.values())} forged refusals, nobody believed them"


@case
def recorded_streams(stage):
    """Whole TCP streams of a join and of a member's link, replayed: refused, also after a restart."""
    with Guarded(stage) as guarded:
        one = guarded.target
        recorder = Recorder((one.host, one.mesh_port))
        try:
            newcomer = guarded.mesh.add(4)
            newcomer.seeds = [recorder.address]
            newcomer.start()
            guarded.mesh.await_agreement()
            wait_until(lambda: [s for s in recorder.streams if len(s) > 200], 10, "recorded streams")
            newcomer.stop()
            newcomer.start()
            guarded.mesh.await_agreement()
        finally:
            recorder.close()
        streams = [bytes(stream) for stream in recorder.streams if len(stream) > 200]
        before = guarded.target.stats()
        members = set(one.members())

        def replay_all():
            counted = one.stats()["handshakesRefused"]
            for stream in streams:
                answer, closed = talk((one.host, one.mesh_port), stream)
                check(closed, "a replayed stream was not closed")
                check(len(answer) < 512, f"{len(answer)} bytes were answered to a replayed stream")
            now = one.stats()["handshakesRefused"]
            rise = now["notAuthentic"] - counted["notAuthentic"]
            check(rise >= len(streams), f"{rise} of {len(streams)} counted: {now}")
            return rise

        first = replay_all()
        newcomer.kill()
        guarded.mesh.await_states(4, ("dead", "left"))
        second = replay_all()
        check(one.state(4) in ("dead", "left"), "a replayed stream brought a dead member back")
        one.kill()
        one.start()
        guarded.mesh.await_agreement()
        third = replay_all()
        check(set(one.members()) == members, "members changed")
        check(before["gossip"]["forged"] == 0, "forged")
    return f"{len(streams)} streams: {first} refused, {second} with the sender dead, {third} after a restart"
