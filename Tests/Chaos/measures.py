"""Figures of a producer's history: how many acknowledgements a second, and when there were none."""

import bisect
from collections import Counter, defaultdict

# A gap that a person sees in the picture; shorter ones are in the figures of the faults.
GAP = 1.0


def times_by_partition(writes):
    times = defaultdict(list)
    for when, partition, _, _ in writes.acknowledged:
        times[partition].append(when)
    for own in times.values():
        own.sort()
    return times


def pauses(writes, begin, end):
    """The longest time without an acknowledgement of any one partition, within [begin, end]."""
    longest = 0.0
    for times in times_by_partition(writes).values():
        first = max(0, bisect.bisect_left(times, begin) - 1)
        last = min(len(times) - 1, bisect.bisect_right(times, end))
        for before, after in zip(times[first:last], times[first + 1:last + 1]):
            longest = max(longest, min(after, end) - max(before, begin))
    return longest


def acks_by_second(writes, begin):
    counts = Counter(int(when - begin) for when, *_ in writes.acknowledged)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


def gaps(writes):
    """(begin, end, longest of one partition), where any partition went without for a second."""
    found = []
    for times in times_by_partition(writes).values():
        found += [(before, after) for before, after in zip(times, times[1:])
                  if after - before > GAP]
    merged = []
    for before, after in sorted(found):
        if merged and before <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], after)
            merged[-1][2] = max(merged[-1][2], after - before)
        else:
            merged.append([before, after, after - before])
    return merged
