"""One topic, its clients, some faults, then the check of all that was written, read and said."""

import base64
import calendar
import hashlib
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import checkers
from broker import BrokerError, track, wait_until
from cases import QUIET
from checkers import Violation
from confluent_kafka import Consumer, TopicPartition
from history import History, Tail, read_looks, read_member, read_writer
from kafka.record import MemoryRecords
from measures import acks_by_second, gaps, pauses
from replicas import create_replicated

PARTITIONS = 6
WRITERS = ("confluent", "kafka-python")
MEMBERS = 2
PROGRESS = 20
PROGRAM = Path(__file__).resolve().parent / "clients.py"


class Clients:
    """Two writers, two members of two groups, and an observer of what is committed."""

    def __init__(self, mesh, topic):
        self.topic, self.directory = topic, mesh.directory / "history" / topic
        self.directory.mkdir(parents=True)
        self.bootstrap = ",".join(broker.bootstrap for broker in mesh)
        self.groups = {kind: f"{topic}-{kind}" for kind in WRITERS}
        self.processes = {}
        self.acks = {name: Tail(self.journal(name), b"a") for name in WRITERS}
        self.reads = {name: Tail(self.journal(name), b"r") for name in self.members()}

    def journal(self, name):
        return self.directory / f"{name}.tsv"

    def members(self):
        return [f"{kind}-{number}" for kind in WRITERS for number in range(1, MEMBERS + 1)]

    def kind(self, name):
        return name.rsplit("-", 1)[0] if name[-1].isdigit() else name

    def start(self, name):
        if name == "observer":
            words = [name, ",".join(self.groups.values())]
        elif name in WRITERS:
            words = [f"{name}-writer"]
        else:
            words = [f"{self.kind(name)}-reader", self.groups[self.kind(name)]]
        with open(self.directory / f"{name}.err", "ab") as errors:
            self.processes[name] = track(subprocess.Popen(
                [sys.executable, str(PROGRAM), words[0], name, str(self.journal(name)),
                 self.bootstrap, self.topic, str(PARTITIONS), *words[1:]],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True))

    def start_all(self):
        for name in (*WRITERS, *self.members(), "observer"):
            self.start(name)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def end(self, names, deadline):
        """SIGTERM, and SIGKILL for those that are not done in time; returns their names."""
        for name in names:
            if self.processes[name].poll() is None:
                self.processes[name].send_signal(signal.SIGTERM)
        end, late = time.monotonic() + deadline, []
        for name in names:
            try:
                self.processes[name].wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                late.append(name)
                self.kill(name)
        return late

    def await_progress(self, deadline=90):
        """Until each writer was acknowledged on every partition, twenty times each."""
        before = {name: dict(tail.read()) for name, tail in self.acks.items()}

        def behind():
            return [(name, partition) for name, tail in self.acks.items()
                    for partition in range(PARTITIONS)
                    if tail.read()[partition] < before[name].get(partition, 0) + PROGRESS]
        try:
            wait_until(lambda: not behind(), deadline, "acknowledgements", 0.05)
        except BrokerError as error:
            raise BrokerError(f"{error} for {behind()}; {self.ended()}") from None

    def ended(self):
        ended = [name for name, process in self.processes.items() if process.poll() is not None]
        return f"clients that ended: {', '.join(ended) or 'none'}"

    def await_seen(self, log, deadline=90):
        """Until each group was given all that is in the log."""
        wanted = {partition: set(rows) for partition, rows in log.items()}

        def missing():
            short = {}
            for kind in WRITERS:
                own = [tail for name, tail in self.reads.items() if self.kind(name) == kind]
                for partition, offsets in wanted.items():
                    for tail in own:
                        tail.read()
                    left = offsets.difference(*(tail.offsets[partition] for tail in own))
                    if left:
                        short[kind, partition] = len(left)
            return short
        try:
            wait_until(lambda: not missing(), deadline, "groups to have seen everything", 0.3)
        except BrokerError as error:
            raise BrokerError(f"{error}: {missing()}; {self.ended()}") from None

    def said(self, wall):
        """(when, line) of what the clients' libraries logged."""
        lines = []
        for path in sorted(self.directory.glob("*.err")):
            for line in path.read_text(errors="replace").splitlines():
                when, _, text = line.partition(" ")
                if re.fullmatch(r"\d{10}\.\d{3}", when):
                    lines.append((float(when) - wall, f"{path.stem} says: {text[:200]}"))
        return lines

    def history(self):
        history = History()
        for name in WRITERS:
            history.writers[name] = read_writer(self.journal(name))
        for name in self.members():
            group = self.groups[self.kind(name)]
            history.groups[group][name] = read_member(self.journal(name))
        history.looks = read_looks(self.journal("observer"))
        return history


def read_log(mesh, topic, deadline=120):
    """{partition: {offset: value}} as a consumer gets it."""
    consumer = Consumer({
        "bootstrap.servers": ",".join(broker.bootstrap for broker in mesh), "group.id": "unused",
        "enable.auto.commit": False, "auto.offset.reset": "earliest", **QUIET})
    try:
        places = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]
        ends = {place.partition: consumer.get_watermark_offsets(place, timeout=20)[1]
                for place in places}
        consumer.assign(places)
        found = {number: {} for number in ends}
        until = time.monotonic() + deadline
        while any(max(log, default=-1) < ends[number] - 1 for number, log in found.items()):
            if time.monotonic() > until:
                reached = [max(log, default=-1) for log in found.values()]
                raise BrokerError(f"the log of {topic}: read to {reached} of {ends}")
            for message in consumer.consume(1_000, 0.2):
                if not message.error():
                    found[message.partition()][message.offset()] = message.value().decode()
        return found
    finally:
        consumer.close()


def folder_of(broker, topic):
    """The name of a topic's directory: its id, which clients spell in another way."""
    said = broker.cli("topic", "describe", topic, "-o", "json", "-b", broker.bootstrap).stdout
    text = json.loads(said)["topics"][0]["topicId"]
    return base64.urlsafe_b64decode(text + "==").hex()


def read_copy(broker, identity, parsed):
    """{partition: {offset: value}} in the files of one broker.

    Copies are the same to the byte, nearly always: `parsed` has what was read of each content."""
    found = {}
    for partition in range(PARTITIONS):
        log = found[partition] = {}
        folder = broker.data / "logs" / identity / str(partition)
        for segment in sorted(folder.glob("*.log")):
            data = segment.read_bytes()
            content = hashlib.sha256(data).digest()
            if content not in parsed:
                parsed[content] = {record.offset: record.value.decode()
                                   for batch in batches(data) for record in batch}
            log.update(parsed[content])
    return found


def batches(data):
    records = MemoryRecords(data)
    while records.has_next():
        yield records.next_batch()


class Round:
    """The topic `topic`, under up to `count` faults; `rows` are for the file of results."""

    def __init__(self, faults, mesh, topic, flush):
        self.faults, self.mesh, self.topic, self.flush = faults, mesh, topic, flush
        self.clients, self.history, self.found = None, None, []
        self.done = []
        self.begin = time.monotonic()
        self.wall = time.time() - self.begin

    def run(self, count, until, say):
        """Faults until there were enough, it is `until`, or Ctrl-C; then the check."""
        faults = self.faults
        try:
            create_replicated(self.mesh[1], self.topic, PARTITIONS, len(list(self.mesh)),
                              flush=self.flush)
            self.mesh.await_topic(self.topic)
            faults.topic = self.topic
            faults.settle()
            faults.clients = self.clients = Clients(self.mesh, self.topic)
            self.begin = time.monotonic()
            self.clients.start_all()
            self.clients.await_progress()
            while len(self.done) < count and time.monotonic() < until and not faults.stop.is_set():
                self.one(*faults.draw(), say)
        except Exception as error:
            # Whatever a command or a client said while it was ended is not the mesh's doing.
            if not faults.stop.is_set():
                self.found.append(Violation("did not come back", f"{type(error).__name__}: {error}",
                                            None, time.monotonic()))
        if self.clients:
            self.check(say)
        return self.rows()

    def one(self, name, victims, say):
        faults = self.faults
        row = {"fault": name, "victims": faults.victims_of(name, victims),
               "begin": time.monotonic()}
        self.done.append(row)
        say(f"{name} {row['victims'] or ''}", end=" ")
        try:
            faults.do(name, victims)
            row["healed"] = time.monotonic()
            self.clients.await_progress()
            faults.settle(name, victims)
            self.clients.await_progress()
        finally:
            row["end"] = time.monotonic()
            row.setdefault("healed", row["end"])
            row.update(detail=faults.detail, note=faults.note, parts=faults.parts)
            say(f"{faults.detail} {row['end'] - row['begin']:.1f} s {faults.note}")

    def check(self, say):
        """Ends the clients, reads everything, and asks the checkers."""
        log = None
        try:
            if self.found or self.faults.stop.is_set():
                self.faults.undo()
            for name in self.clients.end(WRITERS, 150):
                self.found.append(Violation(
                    "unanswered", f"{name}: records were neither acknowledged nor refused"))
            log = read_log(self.mesh, self.topic)
            self.clients.await_seen(log)
            self.faults.settled(90)
        except Exception as error:
            # Whatever could not be read or did not answer, the rest is checked all the same.
            self.found.append(Violation("did not come back", f"{type(error).__name__}: {error}",
                                        None, time.monotonic()))
        self.clients.end((*self.clients.members(), "observer"), 30)
        history = self.history = self.clients.history()
        if log is not None:
            history.log = log
            identity = folder_of(self.mesh[1], self.topic)
            parsed = {}
            history.copies = {broker.node_id: read_copy(broker, identity, parsed)
                              for broker in self.mesh}
            self.found += checkers.violations(history)
        say(f"{self.topic}: {self.figures()}")

    def figures(self):
        history = self.history
        members = [reads for group in history.groups.values() for reads in group.values()]
        return {
            "acknowledged": sum(len(w.acknowledged) for w in history.writers.values()),
            "found": sum(map(len, history.log.values())),
            "read": sum(len(reads.records) for reads in members),
            "commits": sum(len(reads.committed) for reads in members),
            "unanswered": sum(len(reads.failed) for reads in members),
            "looks": len(history.looks), "late": checkers.explained_returns(history)}

    def rows(self):
        """What is kept of the round: times are those of the clock on the wall."""
        end = time.monotonic()
        history = self.history or History()
        rows = []
        for row in self.done:
            each = {name: round(pauses(writes, row["begin"], row["end"]), 3)
                    for name, writes in history.writers.items()}
            times = {key: round(self.wall + row[key], 3) for key in ("begin", "healed", "end")}
            rows.append({**row, **times, "pauses": each, "pause": max(each.values(), default=0)})
        told = []
        for violation in self.found:
            # What happened around one is told once, not for each of its records.
            when = violation.when or end
            again = any(kind == violation.kind and abs(at - when) < 5 for kind, at in told)
            told.append((violation.kind, when))
            rows.append({"violation": violation.kind, "text": violation.text, "topic": self.topic,
                         "partition": violation.partition, "when": round(self.wall + when, 3),
                         "timeline": [] if again else self.timeline(violation)})
        rows.append({
            "round": self.topic, "flush": self.flush, "begin": round(self.wall + self.begin, 3),
            "end": round(self.wall + end, 3), **(self.figures() if self.history else {}),
            "acks": {name: acks_by_second(writes, self.begin)
                     for name, writes in history.writers.items()},
            "gaps": {name: [[round(self.wall + begin, 2), round(self.wall + after, 2),
                             round(longest, 2)]
                            for begin, after, longest in gaps(writes)]
                     for name, writes in history.writers.items()},
            "logged": self.logged(),
        })
        return rows

    def timeline(self, violation):
        """What was going on: faults, what clients did to the partition, what the brokers said."""
        when = violation.when
        if when is None:
            return []
        lines = [(row["begin"], f"fault: {row['fault']} {row['victims']}, undone "
                  f"{row['healed'] - row['begin']:.1f} s later") for row in self.done
                 if row["begin"] - 15 < when < row["end"] + 15]
        if self.history and violation.partition is not None:
            near = self.history.of_partition(violation.partition, when - 15, when + 15)
            lines += sorted(near, key=lambda row: abs(row[0] - when))[:40]
        said = [row for broker in self.mesh for row in log_lines(broker)]
        lines += [row for row in self.clients.said(self.wall) if abs(row[0] - when) < 10] \
            if self.clients else []
        said = [(at - self.wall, f"broker {node}: {level} {text}")
                for at, node, level, text in said if level != "debug"]
        said = [row for row in said if abs(row[0] - when) < 10]
        lines += sorted(said, key=lambda row: abs(row[0] - when))[:40]
        return [f"{clock(self.wall + at)}  {text}" for at, text in sorted(lines)]

    def logged(self):
        """{level and message: how often}, of what brokers warned of since the round began."""
        counts = Counter()
        for broker in self.mesh:
            for at, _, level, text in log_lines(broker):
                if at >= self.wall + self.begin and level not in ("info", "debug", "trace"):
                    counts[f"{level} {re.split(r' [A-Za-z]+=', text)[0]}"] += 1
        return dict(counts.most_common(40))


def clock(when):
    return time.strftime("%H:%M:%S", time.gmtime(when)) + f".{int(when % 1 * 1000):03}"


def log_lines(broker):
    """(when, node, level, message) of all that a broker logged."""
    for line in broker.log().splitlines():
        match = re.match(r"(\d{4}-\d\d-\d\dT[\d:]{8})(\.\d+)Z (\w+) (.*)", line)
        if match:
            parsed = time.strptime(match[1] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
            yield calendar.timegm(parsed) + float(match[2]), broker.node_id, match[3], match[4]
