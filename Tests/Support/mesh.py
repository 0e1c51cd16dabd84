"""Several `gossamer serve` processes that make one mesh, and their admin sockets."""

import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import broker as support
from broker import DEFAULT_BINARY, Broker, BrokerError, track, wait_until

PRESENT = ("alive", "suspect")
_handed_out = set()


def free_port():
    """A port that is free for TCP and UDP, and that this program gave to nobody else."""
    while True:
        port = support.free_port()
        if port in _handed_out:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


class Refusal(BrokerError):
    """The broker answered a question with an error."""


class Admin:
    """A connection to a broker's admin socket, made anew when the broker was."""

    def __init__(self, path):
        self.path = str(path)
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def ask(self, verb, timeout=5, **fields):
        """What the broker says for itself; raises OSError where nobody answers."""
        return self.ask_all(verb, timeout, everywhere=False, **fields)["answers"][0]

    def ask_all(self, verb, timeout=5, **fields):
        question = json.dumps({"verb": verb, "everywhere": True, **fields}).encode()
        try:
            if self.connection is None:
                self.connection = socket.socket(socket.AF_UNIX)
                self.connection.settimeout(timeout)
                self.connection.connect(self.path)
            self.connection.settimeout(timeout)
            self.connection.sendall(struct.pack(">I", len(question)) + question)
            size, = struct.unpack(">I", self.read(4))
            answer = json.loads(self.read(size))
        except OSError:
            self.close()
            raise
        error = answer["answers"][0].get("error")
        if error:
            raise Refusal(error)
        return answer

    def read(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.connection.recv(count - len(data))
            if not part:
                raise ConnectionError("the admin socket was closed")
            data += part
        return bytes(data)


def bracketed(host):
    """A host as it stands in front of a port."""
    return f"[{host}]" if ":" in host else host


class MeshBroker(Broker):
    """One broker of a mesh; `namespace` runs it in a network namespace of that name."""

    def __init__(self, binary, node_id, directory, secret, seeds=(), host="127.0.0.1", mesh_port=None,
                 port=None, namespace=None, environment=None, arguments=()):
        super().__init__(binary, node_id=node_id, directory=directory, port=port or free_port())
        self.secret, self.seeds, self.host = secret, list(seeds), host
        self.mesh_port = mesh_port or free_port()
        self.namespace, self.arguments = namespace, list(arguments)
        self.environment = dict(os.environ, **{
            "GOSSAMER_EVENT_LOOPS": "1",
            **(environment or {})})
        self.admin = Admin(self.data / "admin.sock")
        # What runs the broker, for example in a namespace of its own.
        self.wrapper = []
        self.ready_at = None

    @property
    def bootstrap(self):
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def mesh_address(self):
        return f"{bracketed(self.host)}:{self.mesh_port}"

    def command(self):
        line = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        line += self.wrapper
        line += [self.binary, "serve", "--data-dir", str(self.data), "--kafka", self.bootstrap,
                 "--mesh", self.mesh_address]
        if self.secret:
            line += ["--secret-file", str(self.secret)]
        if self.node_id is not None:
            line += ["--node-id", str(self.node_id)]
        for seed in self.seeds:
            line += ["--seed", seed]
        return line + self.arguments

    def spawn(self):
        """Starts the process and waits for nothing."""
        if self.alive():
            raise BrokerError("the broker runs already")
        self.admin.close()
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            log.write(f"--- start {self.starts + 1}\n".encode())
            log.flush()
            self.log_position = log.tell()
            self.process = track(subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=self.environment))
        self.starts += 1
        self.ready_at = None
        return self

    def start(self, deadline=support.START_DEADLINE):
        self.spawn()
        return self.await_ready(deadline)

    def await_ready(self, deadline=support.START_DEADLINE):
        wait_until(self.ready, deadline, f"broker {self.node_id} is ready")
        return self

    def ready(self):
        if self.ready_at:
            return True
        if not self.alive():
            raise BrokerError(f"broker {self.node_id} ended with {self.process.returncode}: {self.tail()}")
        # The line comes from this very process; so its ports are its own.
        if "ready" not in self.log_since_start():
            return False
        self.ready_at = time.monotonic()
        if self.node_id is None:
            self.node_id = self.ask("info")["nodeId"]
        return True

    def ask(self, verb, **fields):
        return self.admin.ask(verb, **fields)

    def members(self):
        """{node id: its report}"""
        return {row["nodeId"]: row for row in self.ask("members")["members"]}

    def state(self, node):
        return self.members().get(node, {}).get("state")

    def info(self):
        return self.ask("info")["info"]

    def stats(self):
        return self.ask("stats")["stats"]

    def has_topic(self, name):
        return any(row["key"] == f"topic/{name}" and not row["isTombstone"]
                   for row in self.ask("versions", key=f"topic/{name}")["versions"])

    def kill(self):
        self.admin.close()
        super().kill()

    def stop(self, deadline=support.STOP_DEADLINE):
        code = super().stop(deadline)
        self.admin.close()
        return code

    def cli(self, *arguments, timeout=30, check=True):
        """Runs `gossamer ARGUMENTS`; returns the finished process."""
        done = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise BrokerError(f"gossamer {' '.join(map(str, arguments))}: exit {done.returncode}: "
                              f"{done.stdout}{done.stderr}")
        return done


class Mesh:
    """N brokers: the first founds, the others join by its address. Use it in a `with` block."""

    def __init__(self, count, binary=DEFAULT_BINARY, directory=None, environment=None,
                 arguments=lambda node: (), hosts=None, namespaces=None, ipv6=False):
        self.binary = str(binary)
        self.directory = Path(directory or tempfile.mkdtemp(prefix="gossamer-mesh-"))
        self.secret = self.directory / "secret"
        self.environment, self.arguments = environment, arguments
        self.brokers = []
        self.keep = False
        for node in range(1, count + 1):
            # In a namespace of its own every broker can have the same ports.
            own = {"host": hosts[node - 1], "mesh_port": 7946, "port": 9092,
                   "namespace": namespaces[node - 1]} if hosts else {}
            if ipv6:
                own = {"host": "::1"}
            self.add(node, **own)

    def __getitem__(self, node):
        return next(broker for broker in self.brokers if broker.node_id == node)

    def __iter__(self):
        return iter(list(self.brokers))

    def add(self, node, name=None, **more):
        seeds = [self.brokers[0].mesh_address] if self.brokers else []
        options = {"seeds": seeds, "environment": self.environment,
                   "arguments": self.arguments(node), **more}
        broker = MeshBroker(
            self.binary, node, self.directory / f"n{name or node}", self.secret, **options)
        self.brokers.append(broker)
        return broker

    def found(self):
        first = self.brokers[0]
        first.cli("cluster", "init", "--data-dir", first.data, "--node-id", first.node_id,
                  "--secret-file", self.secret)

    def start(self, deadline=60):
        """Founds if that was not done, starts all at once, returns when all know all."""
        if not self.secret.exists():
            self.found()
        for broker in self.brokers:
            if not broker.alive():
                broker.spawn()
        for broker in self.brokers:
            broker.await_ready(deadline)
        self.await_agreement()
        return self

    def running(self):
        return [broker for broker in self.brokers if broker.alive()]

    def all_know_all(self):
        """Whether every running broker sees exactly the running ones as alive."""
        running = self.running()
        wanted = {broker.node_id for broker in running}
        for broker in running:
            alive = {row["nodeId"] for row in broker.ask("members")["members"]
                     if row["state"] == "alive"}
            if alive != wanted:
                return False
        return True

    def await_agreement(self, deadline=20):
        return wait_until(self.all_know_all, deadline, "every broker sees all that run as alive", 0.01)

    def await_states(self, node, states, among=None, deadline=20, since=None):
        """Waits until every other running broker has `node` in one of `states`.

        Returns the times at which each had, in seconds after `since` or after the call."""
        begin = since or time.monotonic()
        seen = {}
        watchers = [broker for broker in among or self.running() if broker.node_id != node]

        def poll():
            for watcher in watchers:
                if watcher.node_id not in seen and watcher.state(node) in states:
                    seen[watcher.node_id] = time.monotonic() - begin
            return len(seen) == len(watchers)

        try:
            wait_until(poll, deadline, f"{node} is {' or '.join(map(str, states))} everywhere")
        except BrokerError as error:
            states = {w.node_id: w.state(node) for w in watchers}
            raise BrokerError(f"{error}; now: {states}") from None
        return seen

    def await_topic(self, name, deadline=10):
        wait_until(lambda: all(broker.has_topic(name) for broker in self.running()), deadline,
                   f"topic {name} in every table", 0.01)

    def await_same_table(self, deadline=20):
        def same():
            return len({broker.info()["tableRoot"] for broker in self.running()}) == 1
        wait_until(same, deadline, "one table everywhere", 0.02)

    def stop(self):
        """SIGTERM to all at once; returns their exit codes."""
        running = self.running()
        for broker in running:
            broker.send_signal(15)
        # Not `Broker.stop`: a second SIGTERM means "at once".
        codes = [broker.process.wait(support.STOP_DEADLINE) for broker in running]
        for broker in running:
            broker.admin.close()
        return codes

    def kill(self):
        """SIGKILL to all at once."""
        for broker in self.running():
            broker.send_signal(9)
        for broker in self.brokers:
            if broker.process:
                broker.process.wait(30)
            broker.admin.close()

    def close(self):
        # A stopped process dies of SIGKILL too.
        self.kill()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            self.keep = True
        self.close()
