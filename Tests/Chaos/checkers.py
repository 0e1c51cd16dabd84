"""What has to be true of a history: what clients were told, what they saw, what is in the logs."""

import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass

from history import value


@dataclass
class Violation:
    """Something that was promised and is not so."""

    kind: str
    text: str
    partition: int | None = None
    when: float | None = None


# Enough to see a pattern; a lost partition would give a hundred thousand.
MOST_OF_A_KIND = 20


def violations(history):
    """All checks; at most twenty of a kind, in the order of the checks."""
    found, counts = [], Counter()
    for check in CHECKS:
        for violation in check(history):
            counts[violation.kind] += 1
            if counts[violation.kind] <= MOST_OF_A_KIND:
                found.append(violation)
    for kind, count in counts.items():
        if count > MOST_OF_A_KIND:
            found.append(Violation(kind, f"{count} of this kind, {MOST_OF_A_KIND} shown"))
    return found


def acknowledged_are_there(history):
    """Everything acknowledged is in the log, at the offset that the client was told."""
    where = {partition: {text: offset for offset, text in log.items()}
             for partition, log in history.log.items()}
    for writer, writes in history.writers.items():
        for when, partition, number, offset in writes.acknowledged:
            text = value(writer, partition, number)
            there = where.get(partition, {}).get(text)
            if there is None:
                found = history.log.get(partition, {}).get(offset, "nothing")
                yield Violation("lost", f"{text} was acknowledged at {offset} and is not in "
                                f"the log; there is {found}", partition, when)
            # A retry of what more than five later batches follow is acknowledged without one.
            elif offset is not None and history.log[partition].get(offset) != text:
                yield Violation("moved", f"{text} was acknowledged at {offset} and is at {there}",
                                partition, when)


def nothing_twice(history):
    """An idempotent producer's record is in the log once, however often it was sent."""
    for partition, log in history.log.items():
        first = {}
        for offset, text in sorted(log.items()):
            if text in first:
                yield Violation("twice", f"{text} is at {first[text]} and at {offset}", partition,
                                told(history, text))
            first.setdefault(text, offset)


def in_order(history):
    """A producer's records of a partition are in the order in which it sent them."""
    for partition, log in history.log.items():
        last = {}
        for offset, text in sorted(log.items()):
            writer, _, number = text.split("/")
            before = last.get(writer, -1)
            if int(number) < before:
                yield Violation("reordered", f"{text} at {offset} is behind number {before}",
                                partition, told(history, text))
            last[writer] = max(before, int(number))


def dense(history):
    """Offsets have no holes: nobody made transactions or compacted."""
    for partition, log in history.log.items():
        for before, after in zip(sorted(log), sorted(log)[1:]):
            if after != before + 1:
                yield Violation("hole", f"nothing between {before} and {after}", partition,
                                told(history, log[after]))
        if log and min(log) != 0:
            yield Violation("hole", f"the log begins at {min(log)}", partition)


def sent_by_somebody(history):
    """What is in the log was sent, and sent to this partition."""
    for partition, log in history.log.items():
        for offset, text in log.items():
            writer, own, number = text.split("/")
            writes = history.writers.get(writer)
            known = writes is not None and int(own) == partition
            if not known or (writes.sent is not None and int(number) >= writes.sent):
                yield Violation("nobody sent it", f"{text} at {offset}", partition)


def nobody_refused(history):
    """A producer that tries for two minutes gets through: faults end before."""
    for writer, writes in history.writers.items():
        for when, partition, number, reason in writes.refused:
            yield Violation("refused", f"{value(writer, partition, number)}: {reason}",
                            partition, when)


def one_value_at_an_offset(history):
    """Whatever a consumer ever got at an offset is there for ever."""
    for group, members in history.groups.items():
        for member, reads in members.items():
            for when, partition, offset, text in reads.records:
                there = history.log.get(partition, {}).get(offset)
                if there is None:
                    yield Violation("seen and gone", f"{member} of {group} read {text} at "
                                    f"{offset}, where nothing is", partition, when)
                elif there != text:
                    yield Violation("two values", f"{member} of {group} read {text} at {offset}, "
                                    f"where {there} is", partition, when)


def groups_saw_all(history):
    """Each record was given to a member of each group, however they came and went."""
    for group, members in history.groups.items():
        seen = defaultdict(set)
        for reads in members.values():
            for _, partition, offset, _ in reads.records:
                seen[partition].add(offset)
        for partition, log in history.log.items():
            for offset in sorted(log.keys() - seen[partition]):
                yield Violation("unseen", f"no member of {group} got {log[offset]} at {offset}",
                                partition, told(history, log[offset]))


# A call that hands out records may still have some of before a change of the group.
CHANGING = 2.0


def readers_go_on(history):
    """While a member keeps a partition, each record that it is given is the one behind the last."""
    for group, members in history.groups.items():
        for member, reads in members.items():
            changes = [when for when, _ in reads.assigned]
            last = {}
            for when, partition, offset, _ in reads.records:
                before, at = last.get(partition, (None, when))
                last[partition] = (offset, when)
                if before is None or offset == before + 1:
                    continue
                if bisect.bisect(changes, when) == bisect.bisect(changes, at - CHANGING):
                    yield Violation("jumped", f"{member} of {group} was given {before} and then "
                                    f"{offset}", partition, when)


class Commits:
    """The commits of one group to one partition: what holds at a time, what may explain less."""

    def __init__(self, members, looks, partition):
        self.tried = sorted((row[0], row[2]) for reads in members.values()
                            for row in reads.tried if row[1] == partition)
        # One that was killed while it waited has no line that says so.
        self.unanswered = set()
        for reads in members.values():
            answered = {row[2] for row in reads.committed if row[1] == partition}
            self.unanswered |= {row[2] for row in reads.tried if row[1] == partition} - answered
        floors = sorted(
            [(row[0], row[2]) for reads in members.values() for row in reads.committed
             if row[1] == partition] + [(end, offset) for _, end, offset in looks])
        self.times, self.floors, self.ceilings = [], [], []
        highest = -1
        for when, offset in floors:
            highest = max(highest, offset)
            self.times.append(when)
            self.floors.append(highest)
        highest = -1
        for _, offset in self.tried:
            highest = max(highest, offset)
            self.ceilings.append(highest)

    def floor(self, when):
        """The highest offset that somebody was told of before."""
        place = bisect.bisect_left(self.times, when)
        return self.floors[place - 1] if place else -1

    def ceiling(self, when):
        """The highest offset that anybody had tried to commit."""
        place = bisect.bisect_right(self.tried, (when, 1 << 62))
        return self.ceilings[place - 1] if place else -1

    def explained(self, offset):
        """Whether a commit without an answer may have arrived late, behind higher ones.

        A request that waits in the socket of a paused broker is read when it goes on; the protocol
        gives commits of one member and generation no order."""
        return offset in self.unanswered


def offsets_stay(history):
    """Committed offsets never go back, are those that were committed, and are within the log."""
    for group, members in history.groups.items():
        for partition, log in history.log.items():
            looks = [(begin, end, offset) for begin, end, own, number, offset in history.looks
                     if own == group and number == partition]
            commits = Commits(members, looks, partition)
            end_of_log = max(log, default=-1) + 1
            for begin, end, offset in looks:
                floor = commits.floor(begin)
                if offset < floor and not commits.explained(offset):
                    yield Violation("offset gone back", f"{group} was at {floor} and then at "
                                    f"{offset}", partition, begin)
                if offset > commits.ceiling(end):
                    yield Violation("offset of nobody", f"{group} is at {offset}, no member "
                                    "committed that", partition, end)
            for _, when, offset in [*looks, *((0, *row) for row in commits.tried)]:
                if offset > end_of_log:
                    yield Violation("offset ahead", f"{group} is at {offset}, the log ends at "
                                    f"{end_of_log}", partition, None)
                    break
            yield from resumes(group, members, commits, partition)


def resumes(group, members, commits, partition):
    """A member that is given a partition goes on at the committed offset, or behind it."""
    for member, reads in members.items():
        times = [row[0] for row in reads.records if row[1] == partition]
        offsets = [row[2] for row in reads.records if row[1] == partition]
        begins = [when for when, owned in reads.assigned if partition in owned]
        ends = [when for when, _ in reads.assigned]
        for begin in begins:
            place = bisect.bisect_left(times, begin)
            later = bisect.bisect_right(ends, begin)
            until = ends[later] if later < len(ends) else float("inf")
            if place == len(times) or times[place] >= until:
                continue
            floor = commits.floor(begin)
            if offsets[place] < floor and not commits.explained(offsets[place]):
                yield Violation("resumed behind", f"{member} of {group} began at "
                                f"{offsets[place]}, {floor} was committed", partition, begin)


def copies_agree(history):
    """On the disk of each broker there is what consumers are given."""
    for broker, copy in history.copies.items():
        for partition, log in history.log.items():
            own = copy.get(partition, {})
            wrong = [offset for offset, text in log.items() if own.get(offset) != text]
            if wrong:
                first = min(wrong)
                yield Violation("copies differ", f"broker {broker} has {own.get(first)} at "
                                f"{first}, consumers get {log[first]}; {len(wrong)} such offsets",
                                partition, told(history, log[first]))


def told(history, text):
    """When a record was acknowledged, if it was."""
    writer, partition, number = text.split("/")
    writes = history.writers.get(writer)
    for when, own, one, _ in writes.acknowledged if writes else ():
        if own == int(partition) and one == int(number):
            return when
    return None


def explained_returns(history):
    """How often an offset went back to one whose commit had been left without an answer."""
    count = 0
    for group, members in history.groups.items():
        for partition in history.log:
            looks = [(begin, end, offset) for begin, end, own, number, offset in history.looks
                     if own == group and number == partition]
            commits = Commits(members, looks, partition)
            count += sum(offset < commits.floor(begin) and commits.explained(offset)
                         for begin, _, offset in looks)
    return count


CHECKS = [acknowledged_are_there, nothing_twice, in_order, dense, sent_by_somebody, nobody_refused,
          one_value_at_an_offset, groups_saw_all, readers_go_on, offsets_stay,
          copies_agree]
