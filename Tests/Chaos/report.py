"""The report of a chaos run in Markdown, from its rows: what was done, what it cost, what broke."""

import time
from collections import Counter, defaultdict

CHECKS = """\
- Everything acknowledged is in the log once, at the offset that the client was told.
- A producer's records of a partition are in the order in which it sent them; there are no others.
- Offsets have no holes. What a consumer ever got at an offset is what is there at the end.
- Each group was given every record, whoever of it was killed meanwhile.
- While a member keeps a partition it is given one record after another: none twice, none left out.
- A committed offset, once a member or the observer was told of it, never goes back, a member that
  is given a partition goes on there, and no offset is ahead of the log. The exception: a commit
  that was never answered may arrive behind higher ones ("late commits"); Kafka's protocol gives
  them no order.
- The files of each broker hold all of it.
- No record was refused: producers try for two minutes, and every fault ends before.
"""


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def seconds(values):
    return " / ".join(f"{quantile(values, share):.2f}" for share in (0.5, 0.99, 1.0))


def table(head, rows):
    lines = [" | ".join(head), " | ".join(["---"] + ["---:"] * (len(head) - 1))]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def by_brokers(rows):
    for count in sorted({row["brokers"] for row in rows}):
        yield count, [row for row in rows if row["brokers"] == count]


def totals(rows):
    """The figures of one number of brokers."""
    rounds = [row for row in rows if "round" in row]
    sums = Counter()
    for row in rounds:
        for key in ("acknowledged", "found", "read", "commits", "unanswered", "looks", "late"):
            sums[key] += row.get(key, 0)
    return {"faults": sum("fault" in row for row in rows), "rounds": len(rounds),
            "minutes": sum(row["end"] - row["begin"] for row in rounds) / 60, **sums,
            "violations": sum("violation" in row for row in rows)}


def summary(rows):
    """A few lines for the terminal."""
    lines = []
    for count, own in by_brokers(rows):
        sums = totals(own)
        lines.append(f"{count} brokers: {sums['faults']} faults in {sums['minutes']:.1f} minutes, "
                     f"{sums.get('acknowledged', 0)} acknowledged, {sums.get('found', 0)} in the "
                     f"logs, {sums.get('commits', 0)} commits; {sums['violations']} violations")
        for name, faults in kinds(own):
            lines.append(f"  {name:16}{len(faults):>4}  pause p50 / p99 / max "
                         f"{seconds([row['pause'] for row in faults])} s")
    return "\n".join(lines)


def kinds(rows):
    found = defaultdict(list)
    for row in rows:
        if "fault" in row:
            found[row["fault"]].append(row)
    return sorted(found.items())


def faults_table(rows):
    clients = sorted({name for row in rows for name in row.get("pauses", {})})
    lines = []
    for name, faults in kinds(rows):
        notes = sum(bool(row.get("note")) for row in faults)
        lines.append([name, len(faults), seconds([row["end"] - row["begin"] for row in faults]),
                      *(seconds([row["pauses"].get(client, 0) for row in faults])
                        for client in clients), notes or ""])
    return table(["fault", "times", "until all is well again", *clients, "restarts needed"], lines)


def violations_text(rows):
    found = [row for row in rows if "violation" in row]
    if not found:
        return "None.\n"
    lines = []
    for row in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["when"]))
        where = f", partition {row['partition']}" if row["partition"] is not None else ""
        lines.append(f"### {row['violation']}: {row['topic']}{where}, {when} UTC\n\n"
                     f"{row['text']}\n")
        if row["timeline"]:
            lines.append("```\n" + "\n".join(row["timeline"]) + "\n```\n")
    return "\n".join(lines)


def logged_table(rows):
    counts = Counter()
    for row in rows:
        counts.update(row.get("logged", {}))
    lines = [[text.split(" ", 1)[1].replace("|", "\\|"), text.split(" ", 1)[0], count]
             for text, count in counts.most_common(40)]
    return table(["message", "level", "times"], lines) if lines else "Nothing.\n"


def report(rows, image):
    """The whole text; `image` is the name of the picture beside it."""
    if not rows:
        return "# Chaos\n\nNothing was done.\n"
    parts = ["# Chaos\n", f"![What happened when]({image})\n"]
    lines = []
    for count, own in by_brokers(rows):
        sums = totals(own)
        lines.append([f"{count} brokers", sums["faults"], sums["rounds"], f"{sums['minutes']:.1f}",
                      *(sums.get(key, 0) for key in ("acknowledged", "found", "read", "commits",
                                                     "unanswered", "looks", "late")),
                      sums["violations"]])
    parts.append(table(["", "faults", "topics", "minutes", "acknowledged", "in the logs",
                        "read by groups", "commits", "commits without an answer",
                        "looks at offsets", "late commits", "violations"], lines) + "\n")
    parts.append(f"What had to be true:\n\n{CHECKS}")
    for count, own in by_brokers(rows):
        seeds = ", ".join(str(seed) for seed in dict.fromkeys(row["seed"] for row in own))
        parts.append(f"## {count} brokers\n\nSeeds {seeds}. Seconds are p50 / p99 / max; those of "
                     "a client are the longest time without an acknowledgement on any one "
                     "partition.\n")
        parts.append(faults_table(own) + "\n")
        if not all(row.get("disks", True) for row in own):
            parts.append("There were no loop devices in a part of this: no faults of disks.\n")
        notes = [f"- {row['fault']} {row['victims']} {row.get('detail', '')}: {row['note']}"
                 for row in own if row.get("note")]
        if notes:
            parts.append("\n".join(notes) + "\n")
        parts.append(f"### What the {count} brokers warned of\n\n{logged_table(own)}\n")
    parts.append(f"## Violations\n\n{violations_text(rows)}")
    return "\n".join(parts)
