"""The clusters of cluster-configs/, run by their own scripts on ports of their own, and a publisher."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from broker import ROOT, track, wait_until
from cases import QUIET, check
from mesh import Admin, free_port

from confluent_kafka import Producer


def move_ports(text, ports):
    """Other ports in place of those of the file, the same in all files."""
    return re.sub(r"127\.0\.0\.1:(\d+)",
                  lambda found: f"127.0.0.1:{ports.setdefault(found[1], free_port())}", text)


class Member:
    """One broker of a cluster that its script runs; what clients need of it, and its process."""

    def __init__(self, cluster, name):
        text = (cluster.folder / f"{name}.yaml").read_text()
        self.cluster, self.name, self.host = cluster, name, "127.0.0.1"
        self.node_id = int(re.search(r"^nodeId: (\d+)", text, re.M)[1])
        self.port = int(re.search(r'^kafka:\n\s+listen: "127\.0\.0\.1:(\d+)"', text, re.M)[1])
        self.data = cluster.data / name
        self.admin = Admin(self.data / "admin.sock")
        self.process = None

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"

    @property
    def pid(self):
        if self.process:
            return self.process.pid
        return int((self.cluster.data / f"{self.name}.pid").read_text())

    def ask(self, verb, **fields):
        return self.admin.ask(verb, **fields)

    def info(self):
        return self.ask("info")["info"]

    def state(self, node):
        rows = {row["nodeId"]: row for row in self.ask("members")["members"]}
        return rows.get(node, {}).get("state")

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.admin.close()
        self.signal(signal.SIGKILL)
        if self.process:
            self.process.wait(20)

    def restart(self):
        """By the script, as its usage says."""
        with open(self.cluster.home / f"{self.name}.restart.log", "ab") as out:
            self.process = track(subprocess.Popen(
                [self.cluster.folder / "start", self.name], stdout=out, stderr=out,
                env=self.cluster.environment, stdin=subprocess.DEVNULL, start_new_session=True))


class Cluster:
    """A folder of cluster-configs/ on ports and in a directory of its own, run by its script."""

    def __init__(self, stage, name, names):
        self.home = Path(tempfile.mkdtemp(prefix="gossamer-configs-"))
        shutil.copytree(ROOT / "cluster-configs", self.home / "cluster-configs")
        self.folder = self.home / "cluster-configs" / name
        self.data = self.home / "gossamer-data" / name
        ports = {}
        for path in sorted(self.folder.glob("*.yaml")):
            done = subprocess.run([stage.binary, "serve", "--config", path, "--check"],
                                  capture_output=True, text=True, timeout=20)
            check(done.returncode == 0, f"{path.name}: {done.stderr}")
            path.write_text(move_ports(path.read_text(), ports))
        self.environment = dict(os.environ, GOSSAMER=str(stage.binary), GOSSAMER_EVENT_LOOPS="1")
        self.log = self.home / "start.log"
        self.members = {each: Member(self, each) for each in names}
        self.script = None

    def __getitem__(self, name):
        return self.members[name]

    def by_id(self, node):
        return next(each for each in self.members.values() if each.node_id == node)

    def start(self, *arguments):
        with open(self.log, "w") as out:
            self.script = track(subprocess.Popen(
                [self.folder / "start", *arguments], stdout=out, stderr=out, env=self.environment,
                stdin=subprocess.DEVNULL, start_new_session=True))

        def shown():
            check(self.script.poll() is None, f"start ended: {self.log.read_text()}")
            return "Clients may use" in self.log.read_text()
        wait_until(shown, 60, "the members", 0.05)

    def stop(self):
        self.script.send_signal(signal.SIGINT)
        return self.script.wait(60), self.log.read_text()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for member in self.members.values():
            member.admin.close()
            try:
                member.signal(signal.SIGKILL)
            except (OSError, ValueError):
                pass
        if self.script and self.script.poll() is None:
            self.script.kill()
        if error is None:
            shutil.rmtree(self.home, ignore_errors=True)


class Publisher(threading.Thread):
    """Publishes one record after the other to each partition with acks=all, and notes when."""

    def __init__(self, brokers, topic, partitions):
        super().__init__(daemon=True)
        self.topic, self.partitions = topic, partitions
        self.last = {}
        self.pauses = {}
        self.counts = dict.fromkeys(range(partitions), 0)
        self.failures = []
        self.values = set()
        self.ended = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": ",".join(each.bootstrap for each in brokers), "acks": "all",
            "enable.idempotence": True, "linger.ms": 1, "message.timeout.ms": 60_000,
            "socket.timeout.ms": 2_000, "retry.backoff.ms": 20, "retry.backoff.max.ms": 100,
            "reconnect.backoff.max.ms": 200, **QUIET})

    def delivered(self, partition, value):
        def report(error, _):
            if error:
                return self.failures.append(error)
            now = time.monotonic()
            pause = (now - self.last.get(partition, now), now)
            self.pauses[partition] = max(self.pauses.get(partition, pause), pause)
            self.last[partition] = now
            self.counts[partition] += 1
            self.values.add(value)
        return report

    def run(self):
        number = 0
        while not self.ended.is_set():
            for partition in range(self.partitions):
                value = f"{partition}-{number}"
                try:
                    self.producer.produce(self.topic, value.encode(), partition=partition,
                                          on_delivery=self.delivered(partition, value))
                except BufferError:
                    pass
            number += 1
            self.producer.poll(0.02)

    def forget_pauses(self):
        self.pauses = {}

    def finish(self):
        self.ended.set()
        self.join()
        left = self.producer.flush(60)
        check(left == 0 and not self.failures, f"{left} left, refused: {self.failures[:2]}")
