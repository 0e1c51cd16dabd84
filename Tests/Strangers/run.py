#!/usr/bin/env python3
"""A stranger's bytes against a real broker, with a well-behaved client beside it.

Every check ends with three questions: does the broker still run, does the client beside it still get
its messages, and did the broker's memory stay under the bound?
"""

import argparse
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Support"))

from broker import (  # noqa: E402
    DEFAULT_BINARY, ROOT, Broker, BrokerError, end_with_children, track, wait_until)

import attacks  # noqa: E402

PYTHON = ROOT / ".venv-clients/bin/python"
MIB = 1 << 20
# Above the 10,000 idle strangers, so that they meet the memory bound and not the connection limit.
CONFIG = "limits: { connections: 12000, requestBytes: 16777216 }\n"


class MemoryWatch(threading.Thread):
    """Samples the broker's resident memory and keeps the peak since it was last asked."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.broker, self.peak, self.ended = broker, 0, threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(0.02):
            try:
                self.peak = max(self.peak, self.broker.status("VmRSS"))
            except (OSError, BrokerError):
                return

    def take_peak(self):
        peak, self.peak = self.peak, 0
        return peak


class Beside:
    """The well-behaved client's process."""

    def __init__(self, broker, directory):
        self.progress = directory / "progress"
        self.progress.write_text("0")
        with open(directory / "beside.log", "w") as log:
            self.process = track(subprocess.Popen(
                [PYTHON, HERE / "beside.py", broker.bootstrap, "beside", self.progress],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True))

    def received(self):
        if self.process.poll() is not None:
            raise BrokerError(f"the client beside ended with {self.process.returncode}")
        return int(self.progress.read_text() or 0)

    def wait_for_progress(self):
        before = self.received()
        wait_until(lambda: self.received() > before, 20, "messages for the client beside", 0.02)

    def finish(self):
        out, _ = self.process.communicate("stop\n", timeout=60)
        if self.process.returncode != 0:
            raise BrokerError(f"the client beside ended with {self.process.returncode}: {out}")
        return out.split()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def raise_descriptor_limit(wanted):
    """Both this process and the broker that it starts hold many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=DEFAULT_BINARY)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory-mib", type=int, default=256, help="bound of resident memory")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--only", default="", help="part of a check's name")
    options = parser.parse_args()
    for path in (PYTHON, options.binary):
        if not Path(path).exists():
            sys.exit(f"error: {path} is missing; run scripts/setup and `swift build -c release`")
    end_with_children()
    files = raise_descriptor_limit(options.connections + 4_000)
    options.connections = min(options.connections, files - 1_000)
    directory = Path(tempfile.mkdtemp(prefix="gossamer-strangers-"))
    with Broker(options.binary.resolve(), CONFIG, directory=directory) as broker:
        passed, failed = run_checks(broker, options, directory)
    if not failed:
        shutil.rmtree(directory)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


def run_checks(broker, options, directory):
    broker.start()
    memory = MemoryWatch(broker)
    print(f"idle memory {broker.status('VmRSS') / MIB:.0f} MiB")
    beside = Beside(broker, directory)
    passed = failed = 0
    highest = 0
    stage = attacks.Stage(
        ("127.0.0.1", broker.port), random.Random(options.seed), options.connections)
    checks = {name: check for name, check in attacks.CHECKS.items() if options.only in name}
    try:
        wait_until(lambda: beside.received() > 0, 30, "the first messages for the client beside")
        for name, check in checks.items():
            started = time.monotonic()
            memory.take_peak()
            try:
                detail = check(stage)
                if not broker.alive():
                    raise BrokerError(f"the broker ended: {broker.tail()}")
                beside.wait_for_progress()
                peak = memory.take_peak()
                highest = max(highest, peak)
                figures = f"{detail}; peak {peak / MIB:.0f} MiB, {time.monotonic() - started:.1f}s"
                if peak > options.memory_mib * MIB:
                    raise BrokerError(f"more than {options.memory_mib} MiB of memory: {figures}")
                print(f"ok   {name}: {figures}", flush=True)
                passed += 1
            except (attacks.Failure, BrokerError, OSError) as error:
                print(f"FAIL {name}: {error!r} (files: {directory})", flush=True)
                failed += 1
                if not broker.alive() or beside.process.poll() is not None:
                    return passed, failed + 1
        sent, received, worst = beside.finish()
        print(f"ok   client-beside: {received} of {sent} messages, in order, the slowest {worst} ms")
        if broker.stop() != 0:
            raise BrokerError("the broker's exit code after SIGTERM was not 0")
        print(f"ok   clean-stop: highest memory of the run {highest / MIB:.0f} MiB")
        passed += 2
    except (BrokerError, subprocess.SubprocessError) as error:
        print(f"FAIL client-beside or clean-stop: {error} (files: {directory})")
        failed += 1
    finally:
        beside.close()
        memory.ended.set()
    return passed, failed


if __name__ == "__main__":
    sys.exit(main())
