#!/usr/bin/env python3
"""Kills the broker again and again under idempotent producers and looks for what is missing.

Three checks, each counted: `kills` (SIGKILL at random moments), `torn` (the same, and the active
segment gets the first part of a batch, or garbage, appended while the broker is down), `flipped`
(one bit of a stored batch is turned while the broker is down). The topic has flush.messages=1: an
acknowledged record was synced. All random choices come from --seed.
"""

import argparse
import base64
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Support"))

from broker import (  # noqa: E402
    DEFAULT_BINARY, ROOT, Broker, BrokerError, end_with_children, track, wait_until)

PYTHON = ROOT / ".venv-clients/bin/python"
TOPIC = "crash"
PARTITIONS = 3
PRODUCERS = 4  # two of them share a partition
PROGRESS_DEADLINE = 30.0


class Failure(Exception):
    """Something was lost, doubled, out of order, or never came back."""


class Producers:
    """The producer processes and what each was promised."""

    def __init__(self, broker, directory):
        self.files = [directory / f"acked-{n}" for n in range(PRODUCERS)]
        self.processes = []
        for number, path in enumerate(self.files):
            path.touch()
            log = open(directory / f"producer-{number}.log", "w")
            self.processes.append(track(subprocess.Popen(
                [PYTHON, HERE / "producer.py", broker.bootstrap, TOPIC,
                 str(number % PARTITIONS), f"p{number}", path],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)))
            log.close()

    def sizes(self):
        for number, process in enumerate(self.processes):
            if process.poll() is not None:
                raise Failure(f"producer {number} ended with {process.returncode}")
        return [path.stat().st_size for path in self.files]

    def wait_for_progress(self):
        """Every producer has got another acknowledgement."""
        before = self.sizes()
        wait_until(lambda: all(now > then for now, then in zip(self.sizes(), before)),
                   PROGRESS_DEADLINE, "an acknowledgement for every producer")

    def finish(self):
        """Stops them; returns for each how many it sent and the offsets of its acknowledgements."""
        for process in self.processes:
            process.stdin.write("stop\n")
            process.stdin.flush()
        results = []
        for number, (process, path) in enumerate(zip(self.processes, self.files)):
            out, _ = process.communicate(timeout=90)
            if process.returncode != 0:
                raise Failure(f"producer {number} ended with {process.returncode}")
            rows = [tuple(map(int, row.split())) for row in path.read_text().splitlines()]
            results.append((int(out), rows))
        return results

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def create_topic(broker, name, partitions, **config):
    code = (
        "import sys\n"
        "from confluent_kafka.admin import AdminClient, NewTopic\n"
        "bootstrap, name, partitions, *pairs = sys.argv[1:]\n"
        "admin = AdminClient({'bootstrap.servers': bootstrap})\n"
        "config = dict(pair.split('=') for pair in pairs)\n"
        "topic = NewTopic(name, int(partitions), 1, config=config)\n"
        "admin.create_topics([topic])[name].result(30)\n")
    pairs = [f"{key.replace('_', '.')}={value}" for key, value in config.items()]
    subprocess.run(
        [PYTHON, "-c", code, broker.bootstrap, name, str(partitions), *pairs], check=True,
        timeout=60)
    described = subprocess.run(
        [broker.binary, "topic", "describe", name, "-o", "json", "--bootstrap", broker.bootstrap],
        check=True, capture_output=True, text=True, timeout=30)
    topic_id = json.loads(described.stdout)["topics"][0]["topicId"]
    # The id as people see it is base64; as a directory it is hexadecimal.
    return base64.urlsafe_b64decode(topic_id + "==").hex()


def read_topic(broker, topic, partitions, patience=30):
    """The records of each partition as (offset, value), its (low, high), and what readers said."""
    done = subprocess.run(
        [PYTHON, HERE / "reader.py", broker.bootstrap, topic, str(partitions), str(patience)],
        capture_output=True, text=True, timeout=180)
    records, ends = {n: [] for n in range(partitions)}, {}
    for line in done.stdout.splitlines():
        kind, partition, first, second = line.split(" ", 3)
        if kind == "end":
            ends[int(partition)] = (int(first), int(second))
        else:
            records[int(partition)].append((int(first), second))
    return records, ends, done.stderr


def active_segment(broker, topic_id, partition):
    """The newest segment of a partition: the greatest base offset."""
    segments = sorted(broker.data.glob(f"logs/{topic_id}/{partition}/*.log"))
    if not segments:
        raise Failure(f"no segment of partition {partition} under {broker.data}")
    return segments[-1]


def batches(data):
    """(position, size) of each whole batch: a base offset (8 bytes), then the length of the rest."""
    position = 0
    while position + 12 <= len(data):
        size = 12 + int.from_bytes(data[position + 8:position + 12], "big", signed=True)
        if size < 61 or position + size > len(data):
            return
        yield position, size
        position += size


def tear(broker, topic_id, random_source):
    """Appends what an interrupted write leaves: the first part of a further batch, or garbage."""
    segment = active_segment(broker, topic_id, random_source.randrange(PARTITIONS))
    data = segment.read_bytes()
    found = list(batches(data))
    if found and random_source.random() < 0.7:
        position, size = found[-1]
        batch = bytearray(data[position:position + size])
        count = int.from_bytes(batch[23:27], "big", signed=True) + 1
        offset = int.from_bytes(batch[0:8], "big") + count
        batch[0:8] = offset.to_bytes(8, "big")
        tail = bytes(batch[:random_source.randrange(1, size)])
    else:
        tail = random_source.randbytes(random_source.randrange(1, 400))
    with open(segment, "ab") as out:
        out.write(tail)


def check_history(results, records, ends):
    """Every acknowledged record once, at its offset; each producer in order; no hole."""
    total = 0
    for partition, rows in records.items():
        low, high = ends[partition]
        if low != 0 or [offset for offset, _ in rows] != list(range(high)):
            raise Failure(f"partition {partition}: offsets are not 0 to {high - 1} without a hole")
        total += len(rows)
    acknowledged = 0
    for number, (sent, acked) in enumerate(results):
        partition = number % PARTITIONS
        mine = [(int(value.split(":")[1]), offset) for offset, value in records[partition]
                if value.startswith(f"p{number}:")]
        doubles = [n for n, count in Counter(n for n, _ in mine).items() if count > 1]
        if doubles:
            raise Failure(f"producer {number}: {len(doubles)} records twice, first {doubles[0]}")
        stored = dict(mine)
        lost = [n for n, _ in acked if n not in stored]
        if lost:
            raise Failure(f"producer {number}: {len(lost)} acknowledged records lost, first {lost[0]}")
        moved = [n for n, offset in acked if offset >= 0 and stored[n] != offset]
        if moved:
            raise Failure(f"producer {number}: {len(moved)} records at another offset than promised")
        if [n for n, _ in mine] != list(range(sent)):
            raise Failure(f"producer {number}: not in order, or not all {sent}")
        acknowledged += len(acked)
    return acknowledged, total


def kill_rounds(binary, kills, seed, torn, logs):
    random_source = random.Random(f"{seed} {torn}")
    with Broker(binary, directory=logs) as broker:
        broker.start()
        topic_id = create_topic(broker, TOPIC, PARTITIONS, flush_messages=1)
        producers = Producers(broker, logs)
        try:
            for _ in range(kills):
                producers.wait_for_progress()
                time.sleep(random_source.uniform(0, 0.3))  # the random moment
                broker.kill()
                if torn:
                    tear(broker, topic_id, random_source)
                broker.start()
            producers.wait_for_progress()
            results = producers.finish()
        finally:
            producers.close()
        if broker.stop() != 0:
            raise Failure(f"the broker ended with {broker.process.returncode} after SIGTERM")
        broker.start()
        records, ends, _ = read_topic(broker, TOPIC, PARTITIONS)
        acknowledged, total = check_history(results, records, ends)
    return (f"{kills} kills, {acknowledged} records acknowledged, {total} stored, "
            f"0 lost, 0 twice, in order, no hole")


def fill_with_numbers(broker, topic, partitions, count):
    code = (
        "import sys\n"
        "from confluent_kafka import Producer\n"
        "bootstrap, topic, partitions, count = sys.argv[1:]\n"
        "producer = Producer({'bootstrap.servers': bootstrap, 'batch.num.messages': 100})\n"
        "for n in range(int(count)):\n"
        "    producer.produce(topic, b'%d' % n, partition=n % int(partitions))\n"
        "sys.exit(producer.flush(60))\n")
    subprocess.run(
        [PYTHON, "-c", code, broker.bootstrap, topic, str(partitions), str(count)], check=True,
        timeout=120)


def flip(broker, topic_id, random_source):
    """Turns one bit inside the payload of a middle batch of partition 0."""
    segment = active_segment(broker, topic_id, 0)
    data = bytearray(segment.read_bytes())
    found = list(batches(data))
    if len(found) < 3:
        raise Failure(f"only {len(found)} batches in {segment}")
    position, size = found[len(found) // 2]
    # The CRC covers byte 21 and all that follow.
    data[position + random_source.randrange(61, size)] ^= 1 << random_source.randrange(8)
    segment.write_bytes(data)


def flipped_bit(binary, seed, clean, logs):
    """After a kill the damage is met by recovery; after a clean stop only by a read."""
    random_source = random.Random(f"{seed} flip {clean}")
    partitions, count = 3, 9_000
    with Broker(binary, directory=logs) as broker:
        broker.start()
        topic_id = create_topic(broker, "flip", partitions)
        fill_with_numbers(broker, "flip", partitions, count)
        broker.stop() if clean else broker.kill()
        flip(broker, topic_id, random_source)
        broker.start()
        records, ends, errors = read_topic(broker, "flip", partitions, patience=3)
        for partition, rows in records.items():
            for offset, value in rows:
                if int(value) != offset * partitions + partition:
                    raise Failure(f"partition {partition} offset {offset}: wrong data {value!r}")
            if partition != 0 and len(rows) != count // partitions:
                raise Failure(f"partition {partition}: {len(rows)} of {count // partitions} records")
        if len(records[0]) >= count // partitions:
            raise Failure("the damaged batch was served")
        reported = re.search(r"(?i)corrupt", broker.log())
        if not reported and (not clean or not re.search(r"(?i)crc|bad message|corrupt", errors)):
            raise Failure("nobody reported the damage")
        fill_with_numbers(broker, "flip-other", 1, 100)
        served = len(records[0])
    return f"damage reported, {served} sound records of that partition served, the others whole"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=DEFAULT_BINARY)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for path in (PYTHON, options.binary):
        if not Path(path).exists():
            sys.exit(f"error: {path} is missing; run scripts/setup and `swift build -c release`")
    end_with_children()
    binary = options.binary.resolve()
    checks = {
        "kills": lambda logs: kill_rounds(binary, options.kills, options.seed, False, logs),
        "torn": lambda logs: kill_rounds(binary, options.kills, options.seed, True, logs),
        "flipped-after-kill": lambda logs: flipped_bit(binary, options.seed, False, logs),
        "flipped-after-clean-stop": lambda logs: flipped_bit(binary, options.seed, True, logs),
    }
    passed = failed = 0
    for name, check in checks.items():
        started = time.monotonic()
        logs = Path(tempfile.mkdtemp(prefix=f"gossamer-crash-{name}-"))
        try:
            print(f"ok   {name}: {check(logs)}, {time.monotonic() - started:.1f}s", flush=True)
            passed += 1
            shutil.rmtree(logs)
        except (Failure, BrokerError, subprocess.SubprocessError, OSError) as error:
            print(f"FAIL {name}: {error} (seed {options.seed}, files: {logs})", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
