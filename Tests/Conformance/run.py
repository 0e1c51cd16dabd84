#!/usr/bin/env python3
"""Drives a release broker with real Kafka clients and counts what works.

Each case gets a broker of its own: a fresh directory, a free port, a log that is kept when the case
fails. The client programs are under clients/ and java/; each lists its own cases (clients/harness.py
says how). Needs `scripts/setup` and a release build.
"""

import argparse
import concurrent.futures
import fnmatch
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Support"))

from broker import (  # noqa: E402
    DEFAULT_BINARY, ROOT, Broker, BrokerError, end_with_children, track)

NEW = ROOT / ".venv-clients/bin/python"
OLD = ROOT / ".venv-clients-old/bin/python"
JARS = ROOT / ".venv-clients/java"
SKIPPED = 77
GIVE_UP = 30


@dataclass
class Client:
    """A client library at one version and the programs that drive it."""

    name: str
    commands: list  # each a command line that takes --list or CASE BOOTSTRAP..


@dataclass
class Case:
    client: str
    command: list
    name: str
    config: str | None = None
    brokers: int = 1
    deadline: float = 60
    alone: bool = False

    @property
    def title(self):
        return f"{self.client} {self.name}"


@dataclass
class Outcome:
    case: Case
    verdict: str  # ok, FAIL, skip
    seconds: float
    detail: str = ""


@dataclass
class Tally:
    outcomes: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, outcome):
        with self.lock:
            self.outcomes.append(outcome)
            line = f"{outcome.verdict:4} {outcome.case.title} {outcome.seconds:.1f}s"
            print(line + (f": {outcome.detail}" if outcome.detail else ""), flush=True)

    def count(self, verdict):
        return sum(outcome.verdict == verdict for outcome in self.outcomes)


def version_of(python, package):
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def clients(work, prefix):
    """The clients whose name begins with `prefix`, in the order in which their cases are listed."""
    def python_client(name, python, package, *programs):
        version = "-" + version_of(python, package) if package else ""
        commands = [[str(python), str(HERE / "clients" / program)] for program in programs]
        return Client(name + version, commands)

    confluent = ("confluent_messages.py", "confluent_groups.py", "confluent_admin.py")
    found = [
        python_client("confluent", NEW, "confluent-kafka", *confluent),
        python_client("confluent", OLD, "confluent-kafka", *confluent),
        python_client(
            "kafka-python", NEW, "kafka-python", "kafka_python.py", "kafka_python_admin.py"),
        python_client("aiokafka", NEW, "aiokafka", "aio.py"),
        python_client("kcat", sys.executable, None, "kcat.py"),
    ]
    jar = next(JARS.glob("kafka-clients-*.jar"))
    java = "java-" + jar.stem.rsplit("-", 1)[1]
    if java.startswith(prefix):
        found.append(Client(java, [java_program(work)]))
    return [client for client in found if client.name.startswith(prefix)]


def java_program(work):
    """Compiles the Java client program and returns the command that runs it."""
    classes = Path(work) / "java"
    path = f"{JARS}/*"
    subprocess.run(
        ["javac", "-nowarn", "-cp", path, "-d", str(classes)]
        + [str(source) for source in sorted((HERE / "java").glob("*.java"))], check=True)
    # Short runs: the quick compiler alone, and a heap that four of them leave room for.
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-Xshare:auto",
            "-cp", f"{classes}:{path}", "Conformance"]


def list_cases(client):
    for command in client.commands:
        listing = subprocess.run(
            command + ["--list"], stdout=subprocess.PIPE, text=True, check=True)
        for line in listing.stdout.splitlines():
            yield Case(client=client.name, command=command, **json.loads(line))


class Run:
    """One case in progress: its brokers, its client process, its deadline."""

    def __init__(self, case, binary, logs):
        self.case = case
        self.binary = binary
        self.logs = Path(logs) / case.title.replace(" ", "-").replace("/", "-")
        self.brokers = []

    def outcome(self):
        started = time.monotonic()
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            verdict, detail = self.attempt()
        except (BrokerError, OSError) as error:
            verdict, detail = "FAIL", str(error)
        finally:
            for number, broker in enumerate(self.brokers):
                broker.close()
        seconds = time.monotonic() - started
        if verdict == "FAIL":
            detail += f" (logs: {self.logs})"
        else:
            shutil.rmtree(self.logs)
        return Outcome(self.case, verdict, seconds, detail)

    def attempt(self):
        for number in range(self.case.brokers):
            directory = self.logs / f"broker-{number}"
            directory.mkdir(exist_ok=True)
            broker = Broker(self.binary, self.case.config, directory=directory)
            self.brokers.append(broker)
            broker.start()
        code, output, late = self.drive()
        if code == SKIPPED:
            return "skip", last_line(output, "@skip ").removeprefix("@skip ")
        if late:
            return "FAIL", f"not done within {self.case.deadline} s"
        if code != 0:
            return "FAIL", last_line(output) or f"exit code {code}"
        for broker in self.brokers:
            if broker.process.poll() is not None and broker.process.returncode not in (0, None):
                return "FAIL", f"the broker ended with {broker.process.returncode}"
            code = broker.stop()
            if code != 0:
                return "FAIL", f"the broker's exit code after SIGTERM was {code}"
        return "ok", ""

    def drive(self):
        """Runs the client and serves its wishes; returns exit code, output and whether it was late."""
        command = self.case.command + [self.case.name] + [b.bootstrap for b in self.brokers]
        output = []
        late = threading.Event()
        with open(self.logs / "client.log", "w") as log:
            client = track(subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                errors="replace", start_new_session=True))

            def give_up():
                late.set()
                os.killpg(client.pid, signal.SIGKILL)

            timer = threading.Timer(self.case.deadline, give_up)
            timer.start()
            try:
                for line in client.stdout:
                    output.append(line.rstrip("\n"))
                    log.write(line)
                    log.flush()
                    if line.startswith("@broker "):
                        self.obey(line.split()[1:], client)
                code = client.wait()
            finally:
                timer.cancel()
        return code, output, late.is_set()

    def obey(self, words, client):
        action, index = words[0], int(words[1]) if len(words) > 1 else 0
        try:
            getattr(self.brokers[index], action)()
            answer = "done"
        except BrokerError as error:
            answer = str(error).replace("\n", " | ")
        try:
            client.stdin.write(answer + "\n")
            client.stdin.flush()
        except BrokenPipeError:
            pass


def last_line(output, start=""):
    return next((line for line in reversed(output) if line.strip() and line.startswith(start)), "")


def select(found, patterns):
    if not patterns:
        return found
    return [case for case in found
            if any(pattern in case.title or fnmatch.fnmatch(case.title, pattern)
                   for pattern in patterns)]


def run_all(cases, binary, logs, workers):
    """Cases that mind company run one by one after all the others."""
    tally = Tally()

    def run(case):
        # A broker that cannot do the simplest thing fails everything, slowly: stop looking.
        if tally.count("FAIL") >= GIVE_UP:
            tally.add(Outcome(case, "FAIL", 0, f"not run after {GIVE_UP} failures"))
        else:
            tally.add(Run(case, binary, logs).outcome())

    together = [case for case in cases if not case.alone]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(run, case) for case in together]
        for job in jobs:
            job.result()
    for case in cases:
        if case.alone:
            run(case)
    return tally


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=DEFAULT_BINARY)
    parser.add_argument("--only", action="append", metavar="PATTERN", default=[],
                        help="part of `client case`, or a glob; may be repeated")
    parser.add_argument("--client", default="", help="only clients whose name begins so")
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    parser.add_argument("--workers", type=int, default=4,
                        help="cases at a time; most of them wait most of the time")
    parser.add_argument("--logs", help="where logs of failed cases go")
    options = parser.parse_args()
    end_with_children()
    if not NEW.exists() or not OLD.exists():
        sys.exit("error: the clients are not installed; run scripts/setup")
    with tempfile.TemporaryDirectory(prefix="gossamer-conformance-") as work:
        cases = [case for client in clients(work, options.client) for case in list_cases(client)]
        cases = select(cases, options.only)
        if options.list:
            for case in cases:
                print(case.title)
            return 0
        if not options.binary.exists():
            sys.exit(f"error: {options.binary}: not built; run `swift build -c release`")
        logs = options.logs or tempfile.mkdtemp(prefix="gossamer-conformance-logs-")
        started = time.monotonic()
        tally = run_all(cases, options.binary.resolve(), logs, options.workers)
        print(f"{len(cases)} cases in {time.monotonic() - started:.0f} s")
        passed, failed, skipped = (tally.count(verdict) for verdict in ("ok", "FAIL", "skip"))
        if not failed and not options.logs:
            shutil.rmtree(logs, ignore_errors=True)
        print(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
