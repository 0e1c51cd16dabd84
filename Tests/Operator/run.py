#!/usr/bin/env python3
"""Every verb of `gossamer gossip` and `gossamer keys` on a mesh of three brokers with faults.

    Tests/Operator/run.py [--binary PATH] [--keep]

Each case injects a fault (a kill, a pause, a UDP hole, a leave, a revocation, ..) and asserts what
the command line says of it, and its exit code. The UDP hole needs root and network namespaces:
without them that case is skipped, and the run says so. Exit code 0: all cases passed.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Support"))
from broker import DEFAULT_BINARY, end_with_children, free_port, track, wait_until  # noqa: E402


class Mesh:
    """Three brokers, in a network namespace of their own where that is possible."""

    def __init__(self, binary, root):
        self.binary, self.root = str(binary), Path(root)
        self.namespace = self.make_namespace()
        self.prefix = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        self.mesh = {n: free_port() for n in (1, 2, 3)}
        self.kafka = {n: free_port() for n in (1, 2, 3)}
        self.processes = {}

    @staticmethod
    def make_namespace():
        name = f"gossamer-operator-{os.getpid()}"
        try:
            subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
            return name
        except (OSError, subprocess.CalledProcessError):
            return None

    def secret(self, node):
        return str(self.root / f"secret{node}")

    def start(self, node):
        words = [
            self.binary, "serve", "--data-dir", str(self.root / f"n{node}"), "--node-id", str(node),
            "--kafka", f"127.0.0.1:{self.kafka[node]}", "--mesh", f"127.0.0.1:{self.mesh[node]}",
            "--secret-file", self.secret(node)]
        if node > 1:
            words += ["--seed", f"127.0.0.1:{self.mesh[1]}"]
        log = open(self.root / f"log{node}", "ab")
        self.processes[node] = track(
            subprocess.Popen(self.prefix + words, stdout=log, stderr=subprocess.STDOUT))

    def begin(self):
        subprocess.run(
            [self.binary, "cluster", "init", "--data-dir", str(self.root / "n1"), "--node-id", "1",
             "--secret-file", self.secret(1)], check=True, capture_output=True)
        for node in (2, 3):
            shutil.copy2(self.secret(1), self.secret(node))
        for node in (1, 2, 3):
            self.start(node)
        self.settle()

    def settle(self):
        """Waits until each of the three sees all three alive, and without a hole."""

        def is_whole():
            for node in (1, 2, 3):
                code, answer = self.json("gossip", "members", at=node, check=False)
                members = answer.get("members", []) if code == 0 else []
                if sum(m["state"] == "alive" and not m["isUdpBlocked"] for m in members) != 3:
                    return False
            return True

        wait_until(is_whole, 20, "three members alive", pause=0.2)

    def signal(self, node, number):
        os.kill(self.processes[node].pid, number)

    def run(self, *words, at=1, timeout=30):
        done = subprocess.run(
            self.prefix + [self.binary, *words, "--data-dir", str(self.root / f"n{at}")],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def json(self, *words, at=1, check=True):
        done = subprocess.run(
            self.prefix + [self.binary, *words, "-o", "json", "--data-dir",
                           str(self.root / f"n{at}")],
            capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
        if check and done.returncode not in (0, 10):
            raise AssertionError(f"{words}: exit {done.returncode}: {done.stderr}")
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}

    def why(self, node, condition, at=1, deadline=15):
        """Waits until `why` comes to the condition; returns exit code and text."""
        last = [None]

        def holds():
            last[0] = self.json("gossip", "why", str(node), at=at)[1]["verdict"]
            return last[0]["condition"] == condition

        try:
            wait_until(holds, deadline, f"why {node}: {condition}", pause=0.2)
        except Exception as error:
            raise AssertionError(f"{error}; last verdict: {last[0]}") from None
        return self.run("gossip", "why", str(node), at=at)

    def end(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.namespace:
            subprocess.run(["ip", "netns", "del", self.namespace], check=False)


def expect(answer, code, *words):
    """The exit code, and that each of the words is said."""
    if answer[0] != code:
        raise AssertionError(f"exit {answer[0]}, expected {code}:\n{answer[1]}")
    for word in words:
        if word not in answer[1]:
            raise AssertionError(f"'{word}' is not said:\n{answer[1]}")


def healthy(mesh):
    """A mesh that is well: every verb says so and exits with 0."""
    subprocess.run(
        mesh.prefix + [mesh.binary, "topic", "create", "orders", "-b",
                       f"127.0.0.1:{mesh.kafka[2]}"], check=True, capture_output=True)
    wait_until(lambda: mesh.run("gossip", "diff", "--all")[0] == 0, 5, "tables agree", 0.1)
    expect(mesh.run("gossip", "members"), 0, "3 members, 3 alive", "the same on 1, 2, 3")
    expect(mesh.run("gossip", "why", "3"), 0, "verdict: 3 is alive")
    expect(mesh.run("gossip", "rtt"), 0, "FROM \\ TO")
    wait_until(
        lambda: all(trip.get("p50Microseconds") for trip in mesh.json("gossip", "rtt")[1]["trips"]),
        10, "all pairs probed", 0.2)
    expect(mesh.run("gossip", "rtt", "1", "3"), 0, "1 -> 3  p50", "3 -> 1  p50")
    expect(mesh.run("gossip", "reachability"), 0, "all 3 reached in")
    expect(mesh.run("gossip", "trace", "--inject"), 0, "reached 3 of 3")
    expect(mesh.run("gossip", "trace", "topic/orders"), 0, "topic/orders", "reached 3 of 3")
    expect(mesh.run("gossip", "versions", "topic/"), 0, "topic/orders", "1 key under topic/")
    expect(mesh.run("gossip", "diff", "--all"), 0, "all 3 brokers agree on 5 keys")
    expect(mesh.run("gossip", "heat"), 0, "all hear each other")
    expect(mesh.run("gossip", "info"), 0, "node     1,", "rumours")
    expect(mesh.run("gossip", "info", "--from", "2"), 0, "node     2,")
    expect(mesh.run("gossip", "stats", "--all"), 0, "gossip:", "datagramsSent", "transport:")
    expect(mesh.run("gossip", "keys"), 0, "one secret, nothing to drop")
    expect(mesh.run("gossip", "join", f"127.0.0.1:{mesh.mesh[2]}"), 0, "is member 2, alive")
    expect(mesh.run("gossip", "join", "127.0.0.1:9"), 1, "127.0.0.1:9: nobody answers there")
    expect(mesh.run("gossip", "why", "9"), 1, "no member 9")
    expect(mesh.run("gossip", "force-leave", "2"), 1, "only the dead are forced out")


def live(mesh):
    """Live views end by a count, by a closed pipe and by Ctrl-C, and leave no trace."""
    capture = mesh.root / "mesh.pcapng"
    expect(
        mesh.run("gossip", "tap", "--count", "6", "--peer", "2", "--pcap", str(capture)), 0,
        "6 packets in", " B  ")
    if shutil.which("tcpdump"):
        read = subprocess.run(
            ["tcpdump", "-nr", str(capture)], capture_output=True, text=True, check=True)
        if read.stdout.count("UDP") != 6:
            raise AssertionError(f"tcpdump reads: {read.stdout}")
    if "verb=tap" not in (mesh.root / "log1").read_text().replace('"', ""):
        raise AssertionError("the log does not say who tapped")
    for words in (["monitor", "--all", "--last", "1"], ["heat", "--watch"], ["stats", "--watch"]):
        view = follow(mesh, *words)
        view.stdout.read(1)
        view.send_signal(signal.SIGINT)
        if view.wait(5) != 0:
            raise AssertionError(f"{words}: exit {view.returncode} after Ctrl-C")
    view = follow(mesh, "monitor", "--last", "1")
    view.stdout.read(1)
    view.stdout.close()
    # It finds out when it has something to say.
    mesh.run("gossip", "trace", "--inject")
    if view.wait(5) != 0:
        raise AssertionError(f"monitor: exit {view.returncode} after its pipe was closed")
    # The last that were seen by all three come first: then it follows.
    follower = follow(
        mesh, "monitor", "--all", "--kind", "traced", "--last", "3", "--count", "6", "-o", "json")
    lines = [json.loads(follower.stdout.readline()) for _ in range(3)]
    mesh.run("gossip", "trace", "--inject")
    lines += [json.loads(line) for line in follower.communicate(timeout=10)[0].splitlines()]
    if len(lines) != 6 or any(line["event"]["kind"] != "traced" for line in lines):
        raise AssertionError(f"monitor shows {lines}")


def follow(mesh, *words):
    """A live view; what it prints first says that it is under way."""
    return track(subprocess.Popen(
        mesh.prefix + [mesh.binary, "gossip", *words, "--data-dir", str(mesh.root / "n1")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))


def paused(mesh):
    """SIGSTOP: dead, by its open connections paused; SIGCONT: back without a restart."""
    mesh.signal(3, signal.SIGSTOP)
    try:
        expect(mesh.why(3, "dead"), 10, "accused by 1, 2", "paused (SIGSTOP")
        expect(mesh.run("gossip", "heat"), 0, "(dead)")
        expect(mesh.run("gossip", "members"), 0, "3 members, 2 alive")
    finally:
        mesh.signal(3, signal.SIGCONT)
    expect(mesh.why(3, "wasAway"), 0, "came back without a restart", "paused")
    mesh.settle()


def killed(mesh):
    """SIGKILL: dead, nobody listens; forced out; restarted."""
    mesh.signal(3, signal.SIGKILL)
    mesh.processes[3].wait()
    expect(
        mesh.why(3, "dead"), 10, "probed 3: no answer", "SUSPECTS 3", "DEAD, accused by",
        "last heard at", "the process has ended")
    expect(mesh.run("keys", "status"), 0, "not there")
    expect(mesh.run("gossip", "force-leave", "3"), 0, "3 was forced out")
    expect(mesh.why(3, "left"), 0, "was forced out by 1")
    mesh.start(3)
    mesh.settle()
    expect(mesh.why(3, "restarted"), 0, "RESTARTED")


def hole(mesh):
    """UDP to 3 is dropped: not dead, flagged, named once."""
    if not mesh.namespace or not shutil.which("iptables"):
        return "needs root, network namespaces and iptables"
    rule = ["INPUT", "-p", "udp", "--dport", str(mesh.mesh[3]), "-j", "DROP"]
    subprocess.run(mesh.prefix + ["iptables", "-A", *rule], check=True)
    try:
        expect(
            mesh.why(3, "udpBlocked"), 10, "answers by TCP and not by UDP", "Not dead",
            "leadership was not moved", f"Open UDP {mesh.mesh[3]}", "by TCP: reached it")
        wait_until(
            lambda: "between 3 and 1, 2" in mesh.run("gossip", "reachability")[1], 10,
            "reachability names the hole")
        expect(mesh.run("gossip", "reachability"), 10, "only TCP passes between 3 and 1, 2")
        wait_until(
            lambda: "UDP_BLOCKED" in mesh.run("gossip", "members")[1], 10, "1 flags the hole")
        expect(mesh.run("gossip", "members"), 0, "UDP_BLOCKED", "3 alive")
    finally:
        subprocess.run(mesh.prefix + ["iptables", "-D", *rule], check=True)
    mesh.settle()
    expect(mesh.why(3, "wasAway"), 0, "answers by UDP again")
    return None


def left(mesh):
    """leave: shown as left, no alarm; it comes back when it is started again."""
    expect(mesh.run("gossip", "leave", "--from", "3"), 0, "3 has left")
    expect(mesh.why(3, "left"), 0, "left in order")
    expect(mesh.run("gossip", "leave", "--from", "3"), 1, "3")
    mesh.signal(3, signal.SIGTERM)
    mesh.processes[3].wait(20)
    mesh.start(3)
    mesh.settle()
    expect(mesh.why(3, "restarted"), 0, "after it had left in order")


def rotation(mesh):
    """A secret is rotated, copied, reloaded and dropped; members notice nothing."""
    old = mesh.json("keys", "status")[1]["current"]
    expect(mesh.run("keys", "rotate", "--secret-file", mesh.secret(2)), 1, "reads")
    expect(
        mesh.run("keys", "rotate", "--secret-file", mesh.secret(1)), 0, "shows the new secret",
        f"still takes {old[:8]}", "need no secret")
    expect(mesh.run("keys", "status"), 10, "no, because 2, 3 show another")
    expect(mesh.run("keys", "rotate", "--secret-file", mesh.secret(1)), 1, "is under way")
    expect(mesh.run("keys", "drop-previous", "--secret-file", mesh.secret(1)), 1, "--force")
    for node in (2, 3):
        shutil.copy2(mesh.secret(1), mesh.secret(node))
    expect(mesh.run("keys", "rotate", "--reload"), 0, "3 shows")
    # Somebody elsewhere still has the old file: the verdict finds out.
    text = Path(mesh.secret(1)).read_text().splitlines()
    stale = mesh.root / "stale"
    stale.touch(0o600)
    stale.write_text("\n".join([text[2], text[1]]) + "\n")
    expect(mesh.run("keys", "status"), 0, "yes, because all 3 brokers")
    via = subprocess.run(
        mesh.prefix + [mesh.binary, "gossip", "info", "--via", f"127.0.0.1:{mesh.mesh[2]}",
                       "--secret-file", str(stale)], capture_output=True, text=True)
    expect((via.returncode, via.stdout + via.stderr), 0, "node     2,")
    expect(mesh.run("keys", "status"), 10, "joined or asked with it", "at 2")
    expect(
        mesh.run("keys", "drop-previous", "--force", "--secret-file", mesh.secret(1)), 0,
        f"takes {old[:8]} no more")
    for node in (2, 3):
        shutil.copy2(mesh.secret(1), mesh.secret(node))
    expect(mesh.run("keys", "rotate", "--reload"), 0)
    expect(mesh.run("keys", "status"), 0, "one secret, nothing to drop")
    expect(mesh.run("gossip", "members"), 0, "3 members, 3 alive")
    fresh = str(mesh.root / "fresh")
    made = subprocess.run(
        [mesh.binary, "keys", "generate", fresh], capture_output=True, text=True)
    expect((made.returncode, made.stdout), 0, "mode 0600")
    if os.stat(fresh).st_mode & 0o777 != 0o600:
        raise AssertionError("a fresh secret is open to others")
    again = subprocess.run(
        [mesh.binary, "keys", "generate", fresh], capture_output=True, text=True)
    expect((again.returncode, again.stderr), 1, "never overwritten")
    secret = Path(mesh.secret(1)).read_text().splitlines()[1]
    for words in (["keys", "show", "-o", "wide"], ["keys", "show", "-o", "json"]):
        if secret in mesh.run(*words)[1]:
            raise AssertionError("keys show shows the secret")


def revoked(mesh):
    """A revoked member is refused by all at once."""
    expect(mesh.run("keys", "revoke", "1"), 1, "is the broker that is asked")
    expect(mesh.run("keys", "revoke", "3", "--yes"), 0, "3 is revoked; refused by 1, 2")
    expect(mesh.why(3, "revoked"), 0, "3 was REVOKED", "No broker takes a link")
    expect(mesh.run("gossip", "members"), 0, "2 members, 2 alive")
    expect(mesh.run("keys", "revoke", "3", "--yes"), 1, "revoked already")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=DEFAULT_BINARY)
    parser.add_argument("--keep", action="store_true", help="keep the directory with the logs")
    options = parser.parse_args()
    end_with_children()
    root = tempfile.mkdtemp(prefix="gossamer-operator-", dir="/tmp")
    mesh = Mesh(options.binary, root)
    passed = failures = skips = 0
    try:
        mesh.begin()
        for case in (healthy, live, paused, killed, hole, left, rotation, revoked):
            start = time.monotonic()
            try:
                skipped = case(mesh)
                word = f"skipped: {skipped}" if skipped else "passed"
                passed, skips = passed + (not skipped), skips + bool(skipped)
            except Exception as error:  # noqa: BLE001 a failed case is a finding, the others go on
                failures += 1
                word = f"FAILED: {error}"
            print(f"{case.__name__:10} {time.monotonic() - start:5.1f} s  {word}", flush=True)
    finally:
        mesh.end()
        if options.keep or failures:
            print(f"logs in {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{passed} passed, {failures} failed, {skips} skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
