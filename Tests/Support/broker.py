"""One `gossamer serve` process under test: start, readiness, signals, figures from /proc."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_BINARY = ROOT / ".build/release/gossamer"

# Below Linux's ephemeral range (from 32768): a client that reconnects in a loop to a port of that
# range can meet itself (a TCP self-connect) while the broker is down.
PORTS = range(20_000, 32_000)

# A start on 1,000 partitions is promised within 1 s; a loaded CI machine gets much more.
START_DEADLINE = 30.0
STOP_DEADLINE = 30.0


class BrokerError(Exception):
    """The process under test did not do what every test needs of it."""


_children = []
_endings = []


def at_end(act):
    """Runs `act` when this program is told to end, after its children were killed."""
    _endings.append(act)


def track(process):
    """Remembers a child that must not outlive this program."""
    _children.append(process)
    return process


def end_with_children():
    """On SIGTERM or Ctrl-C, kills every tracked child and leaves at once."""

    def leave(number, _):
        for process in list(_children):
            if process.poll() is None:
                process.kill()
        for act in list(_endings):
            act()
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


def wait_until(condition, deadline, what, pause=0.005):
    """Polls until `condition()` is true and returns what it gave; raises after `deadline` s."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise BrokerError(f"{what}: not within {deadline:g} s")
        time.sleep(pause)


def free_port():
    """A port that nobody listens on now."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def listening_inodes(port):
    """Inodes of the IPv4 and IPv6 sockets that listen on `port`."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(fields[9])
    return found


def owns_socket(pid, inodes):
    """True when process `pid` holds one of the sockets: the one that answers is our own."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(entry.path) in wanted:
                    return True
            except OSError:
                continue
    except OSError:
        pass
    return False


class Broker:
    """A broker on a directory of its own. Use it in a `with` block; the directory goes at the end."""

    def __init__(self, binary=DEFAULT_BINARY, config=None, node_id=1, directory=None, port=None):
        self.binary = str(binary)
        self.own_directory = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix="gossamer-test-"))
        self.data = self.directory / "data"
        self.log_path = self.directory / "broker.log"
        self.node_id = node_id
        self.port = port or free_port()
        self.config = config
        self.process = None
        self.starts = 0
        self.log_position = 0

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        line = [
            self.binary, "serve", "--data-dir", str(self.data), "--node-id", str(self.node_id),
            "--kafka", self.bootstrap,
        ]
        if self.config:
            path = self.directory / "gossamer.yaml"
            path.write_text(self.config)
            line += ["--config", str(path)]
        return line

    def start(self, deadline=START_DEADLINE):
        if self.alive():
            raise BrokerError("the broker runs already")
        self.data.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            log.write(f"--- start {self.starts + 1}\n".encode())
            log.flush()
            self.log_position = log.tell()
            self.process = track(subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True))
        self.starts += 1
        wait_until(self.ready, deadline, f"broker listens on {self.bootstrap}")
        return self

    def ready(self):
        if not self.alive():
            raise BrokerError(f"broker ended with {self.process.returncode}: {self.tail()}")
        # Its signal handlers stand once it says that it listens.
        if not any(line.startswith("listening ") for line in self.log_since_start()):
            return False
        inodes = listening_inodes(self.port)
        if not inodes or not owns_socket(self.pid, inodes):
            return False
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def send_signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        """SIGKILL: nothing of the process survives but its files."""
        self.send_signal(signal.SIGKILL)
        self.process.wait(STOP_DEADLINE)

    def stop(self, deadline=STOP_DEADLINE):
        """SIGTERM: a clean stop, whose exit code is returned."""
        self.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BrokerError(f"broker did not stop within {deadline:g} s of SIGTERM") from None

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except OSError:
            return ""

    def log_since_start(self):
        """The log's lines since the last start."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_position)
            return log.read().decode(errors="replace").splitlines()

    def tail(self, lines=15):
        return "\n".join(self.log().splitlines()[-lines:])

    def status(self, key):
        """A figure of /proc/PID/status in bytes, for example VmRSS or VmHWM."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
        raise BrokerError(f"no {key} in /proc/{self.pid}/status")

    def cpu_seconds(self):
        """User and system time so far."""
        text = Path(f"/proc/{self.pid}/stat").read_text()
        fields = text[text.rindex(")") + 2:].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        if self.alive():
            self.kill()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
