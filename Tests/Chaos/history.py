"""What clients did and saw, as they write it to files and as the checkers read it.

A client appends lines of words separated by tabs; the first says what happened, the second when, in
seconds of the monotonic clock, which all processes of a machine share:

    writers    a WHEN PARTITION NUMBER OFFSET     acknowledged (offset -1: the client was not told)
               f WHEN PARTITION NUMBER REASON     refused for good
               e WHEN COUNT                       the end; so many were sent to every partition
    readers    g WHEN PARTITIONS                  what the member has from now on
               r WHEN PARTITION OFFSET VALUE      a record that the application got
               t WHEN PARTITION OFFSET            tries to commit
               k WHEN PARTITION OFFSET            was told that it is committed
               x WHEN PARTITION OFFSET REASON     was told nothing, or of an error
    observer   o BEGIN END GROUP PARTITION OFFSET asked what is committed (-1: nothing)

A value is WRITER/PARTITION/NUMBER, so a record says where it belongs.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path


def value(writer, partition, number):
    return f"{writer}/{partition}/{number}"


class Journal:
    """The file that a client appends to; what is in it survives a kill once it was flushed."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1 << 16)
        self.flushed = 0.0

    def add(self, *words):
        self.file.write("\t".join(map(str, words)) + "\n")

    def now(self, kind, *words):
        self.add(kind, f"{time.monotonic():.6f}", *words)

    def flush(self, every=0.0):
        """Writes out; with `every`, at most so often."""
        now = time.monotonic()
        if now - self.flushed >= every:
            self.file.flush()
            self.flushed = now


@dataclass
class Writes:
    """What one producer was told."""

    acknowledged: list = field(default_factory=list)  # (when, partition, number, offset or None)
    refused: list = field(default_factory=list)       # (when, partition, number, reason)
    sent: int | None = None                           # to every partition; None: it never ended


@dataclass
class Reads:
    """What one member of a group saw and committed."""

    records: list = field(default_factory=list)       # (when, partition, offset, value)
    assigned: list = field(default_factory=list)      # (when, (partitions))
    tried: list = field(default_factory=list)         # (when, partition, offset)
    committed: list = field(default_factory=list)     # (when, partition, offset)
    failed: list = field(default_factory=list)        # (when, partition, offset, reason)


@dataclass
class History:
    """All that happened to one topic, and what is in its logs at the end."""

    writers: dict = field(default_factory=lambda: defaultdict(Writes))
    groups: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(Reads)))
    looks: list = field(default_factory=list)   # (begin, end, group, partition, offset)
    log: dict = field(default_factory=dict)     # {partition: {offset: value}}, read by a consumer
    copies: dict = field(default_factory=dict)  # {broker: {partition: {offset: value}}}, from disks

    def of_partition(self, partition, begin, end):
        """Lines of what clients did to one partition between two times, in order of time."""
        lines = []

        def within(rows):
            return [row for row in rows if begin <= row[0] <= end and row[1] == partition]

        for name, writes in self.writers.items():
            told = [(when, offset) for when, _, _, offset in within(writes.acknowledged)
                    if offset is not None]
            # Those of another producer are between.
            lines += ranges(told, f"{name} was acknowledged", step=4)
        for group, members in self.groups.items():
            for member, reads in members.items():
                who = f"{member} of {group}"
                lines += ranges([row[0:3:2] for row in within(reads.records)], f"{who} read")
                for verb, rows in (("committed", reads.committed),
                                   ("could not commit", reads.failed)):
                    lines += [(row[0], f"{who} {verb} {row[2]}") for row in within(rows)]
                lines += [(when, f"{who} has partitions {list(owned)}")
                          for when, owned in reads.assigned if begin <= when <= end]
        lines += [(last, f"{group} is at {offset}, says the broker")
                  for _, last, group, own, offset in self.looks
                  if own == partition and begin <= last <= end]
        return sorted(lines)


def ranges(rows, what, step=1):
    """Lines of (when, offset): offsets that follow on each other within a moment are one line."""
    lines, first, last = [], None, None
    for when, offset in [*rows, (float("inf"), -1)]:
        if first and 1 <= offset - last[1] <= step and when - last[0] < 0.3:
            last = (when, offset)
            continue
        if first:
            upto = f" to {last[1]}" if last[1] > first[1] else ""
            lines.append((first[0], f"{what} {first[1]}{upto}"))
        first = last = (when, offset)
    return lines


def read_writer(path):
    writes = Writes()
    for words in rows(path):
        when = float(words[1])
        if words[0] == "a":
            offset = int(words[4])
            writes.acknowledged.append(
                (when, int(words[2]), int(words[3]), None if offset < 0 else offset))
        elif words[0] == "f":
            writes.refused.append((when, int(words[2]), int(words[3]), words[4]))
        elif words[0] == "e":
            writes.sent = int(words[2])
    return writes


def read_member(path):
    reads = Reads()
    places = {"t": reads.tried, "k": reads.committed, "x": reads.failed}
    for words in rows(path):
        when = float(words[1])
        if words[0] == "r":
            reads.records.append((when, int(words[2]), int(words[3]), words[4]))
        elif words[0] == "g":
            owned = words[2] if len(words) > 2 else ""
            reads.assigned.append((when, tuple(map(int, owned.split()))))
        else:
            places[words[0]].append((when, int(words[2]), int(words[3]), *words[4:5]))
    return reads


def read_looks(path):
    return [(float(words[1]), float(words[2]), words[3], int(words[4]), int(words[5]))
            for words in rows(path) if words[0] == "o"]


def rows(path):
    """The whole lines of a journal: a client that was killed may have left a part of one."""
    if not Path(path).exists():
        return
    with open(path, errors="replace") as file:
        for line in file:
            if line.endswith("\n"):
                yield line[:-1].split("\t")


class Tail:
    """Counts what a client has appended so far, while it goes on."""

    def __init__(self, path, kind):
        self.path, self.kind, self.position, self.rest = path, kind, 0, b""
        self.counts = defaultdict(int)
        self.offsets = defaultdict(set)

    def read(self):
        """Reads on; {partition: lines of the kind}, and in `offsets` those of read records."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.position)
                data = file.read()
        except FileNotFoundError:
            return self.counts
        self.position += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            words = line.split(b"\t")
            if words[0] == self.kind:
                self.counts[int(words[2])] += 1
                if self.kind == b"r":
                    self.offsets[int(words[2])].add(int(words[3]))
        return self.counts
