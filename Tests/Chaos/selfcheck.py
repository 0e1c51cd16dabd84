"""Feeds the checkers histories with one thing wrong each; a checker has to find it."""

import copy

from checkers import explained_returns, violations
from history import History


def sound(records=60, partitions=2):
    """A history in which all is well: two writers, a group of two members that change places."""
    history = History()
    for partition in range(partitions):
        log = history.log[partition] = {}
        for number in range(records // 2):
            for writer in ("confluent", "kafka-python"):
                offset = len(log)
                log[offset] = f"{writer}/{partition}/{number}"
                history.writers[writer].acknowledged.append(
                    (10 + offset, partition, number, offset))
        for half, name in enumerate(("one", "two")):
            reads = history.groups["group"][name]
            begin = half * records // 2
            reads.assigned.append((9.5 + begin, tuple(range(partitions))))
            for offset in range(begin, begin + records // 2):
                reads.records.append((10.5 + offset, partition, offset, log[offset]))
                if offset % 10 == 9:
                    reads.tried.append((10.6 + offset, partition, offset + 1))
                    reads.committed.append((10.7 + offset, partition, offset + 1))
                    history.looks.append((10.8 + offset, 10.9 + offset, "group", partition,
                                          offset + 1))
    for writes in history.writers.values():
        writes.sent = records // 2
    history.copies = {broker: copy.deepcopy(history.log) for broker in (1, 2, 3)}
    return history


def lost(history):
    del history.log[1][59]


def lost_behind_another(history):
    history.log[1][20] = "confluent/1/29"
    del history.log[1][58]


def moved(history):
    log = history.log[0]
    log[20], log[21] = log[21], log[20]


def twice(history):
    history.log[0][60] = history.log[0][20]


def reordered(history):
    log = history.log[0]
    log[20], log[22] = log[22], log[20]


def a_hole(history):
    history.log[0] = {offset + (offset > 30): text for offset, text in history.log[0].items()}


def from_nobody(history):
    history.log[0][60] = "confluent/0/30"


def refused(history):
    history.writers["confluent"].refused.append((30, 0, 9, "timed out"))


def two_values(history):
    reads = history.groups["group"]["one"]
    reads.records.append((31, 0, 7, "confluent/0/29"))


def seen_and_gone(history):
    history.groups["group"]["two"].records.append((90, 0, 60, "confluent/0/30"))


def unseen(history):
    reads = history.groups["group"]["one"]
    reads.records = [row for row in reads.records if row[1:3] != (1, 12)]


def began_again(history):
    again = [(80 + offset, 1, offset, history.log[1][offset]) for offset in range(10)]
    history.groups["group"]["two"].records += again


def skipped(history):
    reads = history.groups["group"]["two"]
    again = history.groups["group"]["three"]
    again.assigned.append((100.0, (0, 1)))
    again.records += [(row[0] + 100, *row[1:]) for row in reads.records if row[1:3] != (0, 45)]


def offset_gone_back(history):
    history.looks.append((55.0, 55.1, "group", 0, 20))


def offset_gone(history):
    history.looks.append((55.0, 55.1, "group", 1, -1))


def offset_of_nobody(history):
    history.looks.append((55.0, 55.1, "group", 0, 47))


def offset_ahead(history):
    history.groups["group"]["two"].tried.append((90, 0, 61))


def resumed_behind(history):
    history.groups["group"]["one"].assigned.append((80.0, (0, 1)))
    history.groups["group"]["one"].records.append((80.5, 0, 0, history.log[0][0]))


def copy_short(history):
    del history.copies[2][1][59]


def copy_differs(history):
    history.copies[3][0][5] = "confluent/0/3"


WRONG = {
    "a lost record": (lost, "lost"),
    "a lost record, another in its place": (lost_behind_another, "lost"),
    "a record that is elsewhere": (moved, "moved"),
    "a duplicate": (twice, "twice"),
    "a reordered record": (reordered, "reordered"),
    "a hole": (a_hole, "hole"),
    "a record that nobody sent": (from_nobody, "nobody sent it"),
    "a refused record": (refused, "refused"),
    "two values at an offset": (two_values, "two values"),
    "a record that was seen and is gone": (seen_and_gone, "seen and gone"),
    "a record that a group never got": (unseen, "unseen"),
    "a member that was sent back": (began_again, "jumped"),
    "a member that skipped a record": (skipped, "jumped"),
    "an offset gone back": (offset_gone_back, "offset gone back"),
    "an offset that is gone": (offset_gone, "offset gone back"),
    "an offset that nobody committed": (offset_of_nobody, "offset of nobody"),
    "an offset ahead of the log": (offset_ahead, "offset ahead"),
    "a member that began anew": (resumed_behind, "resumed behind"),
    "a copy that is short": (copy_short, "copies differ"),
    "a copy that differs": (copy_differs, "copies differ"),
}


def late_commit(history):
    """No violation: a commit that was never answered came through behind a higher one."""
    history.groups["group"]["one"].tried.append((33.0, 0, 25))
    history.groups["group"]["one"].failed.append((34.0, 0, 25, "timed out"))
    history.looks.append((55.0, 55.1, "group", 0, 25))


def run():
    """Prints a line for each; returns how many were not as they had to be."""
    failed = 0

    def line(right, text):
        nonlocal failed
        failed += not right
        print(f"{'ok' if right else 'FAILED':7} {text}")

    found = violations(sound())
    line(not found, f"a sound history: {len(found)} violations")
    history = sound()
    late_commit(history)
    found = violations(history)
    line(not found and explained_returns(history) == 1, "a commit that arrived late: counted, "
         f"{len(found)} violations")
    for name, (spoil, kind) in WRONG.items():
        history = sound()
        spoil(history)
        found = violations(history)
        first = next((row for row in found if row.kind == kind), None)
        line(first is not None, f"{name}: {first.text if first else 'not caught'}")
    print(f"{len(WRONG) + 2 - failed} passed, {failed} failed")
    return failed
