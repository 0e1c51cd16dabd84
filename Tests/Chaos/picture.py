"""A picture of a chaos run: brokers and their faults, acknowledgements a second, pauses.

    12:00        12:01        12:02
    broker 1   [kill]                [cut ]
    broker 2             [full disk  ]
    confluent    ~~~~~~\\__/~~~~~~~~\\_/~~~     acknowledgements a second
                         1.6 s       2.1 s    pauses

One strip for each five minutes or so. It is SVG with a style sheet of its own, for a light and
for a dark background.
"""

import time
from html import escape

LEFT, WIDTH, STRIP = 110, 1080, 300
LANE, ACKS, GAPS = 20, 44, 18
COLORS = {"kill": "#d1495b", "pause": "#e08e2b", "stop": "#7a9e3a", "cut": "#2f7fc1",
          "one-way cut": "#5aa9d6", "loss": "#7b6fd0", "slow disk": "#b0892f",
          "frozen disk": "#3aa6a6", "full disk": "#8c5a3c", "wipe": "#b5446e",
          "member killed": "#9a8fb0", "rolling restart": "#4f9d69", "all killed": "#8f1d2c"}
STYLE = """
text { font: 11px system-ui, sans-serif; fill: #24292f }
.back { fill: #ffffff } .lane { fill: #f2f4f6 } .grid { stroke: #d0d7de } .small { font-size: 10px }
.acks { fill: #4c8f63; fill-opacity: .75 } .gap { fill: #c9622b } .dim { fill: #6a737d }
.check { fill: #9aa4ae; fill-opacity: .25 } .bad { stroke: #e0002b; stroke-width: 2 }
.badtext { fill: #e0002b; font-weight: bold } .inbar { fill: #ffffff; font-size: 10px }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .back { fill: #0d1117 } .lane { fill: #171d25 } .grid { stroke: #30363d }
  .acks { fill: #58b57c } .gap { fill: #e58a54 } .dim { fill: #8b949e }
  .bad { stroke: #ff5c75 } .badtext { fill: #ff5c75 }
}"""


def strips(rows):
    """[(brokers, begin, end, rows)]: stretches of some five minutes that follow on each other."""
    found = []
    for count in sorted({row["brokers"] for row in rows}):
        own = [row for row in rows if row["brokers"] == count and "begin" in row]
        stretches = []
        for row in sorted((row for row in own if "round" in row), key=lambda row: row["begin"]):
            if stretches and row["begin"] - stretches[-1][1] < 60:
                stretches[-1][1] = row["end"]
            else:
                stretches.append([row["begin"], row["end"]])
        for begin, end in stretches:
            while begin < end:
                # A short rest is not worth a strip of its own.
                until = end if end - begin < 1.25 * STRIP else begin + STRIP
                inside = [row for row in own if row["begin"] < until and row["end"] > begin]
                bad = [row for row in rows if "violation" in row and row["brokers"] == count
                       and begin - 1 <= row["when"] <= until + 1]
                found.append((count, begin, until, inside + bad))
                begin = until
    return found


class Strip:
    """Draws one stretch of time from `top` on; `height` is known when it is done."""

    def __init__(self, count, begin, end, rows, top):
        self.count, self.begin, self.end, self.rows, self.top = count, begin, end, rows, top
        self.parts, self.scale = [], WIDTH / max(60, end - begin)

    def x(self, when):
        return LEFT + (min(max(when, self.begin), self.end) - self.begin) * self.scale

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, kind="", anchor="start"):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
                 f"{escape(text)}</text>")

    def rectangle(self, begin, end, y, height, kind="", title="", more=""):
        x = self.x(begin)
        self.add(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(1.5, self.x(end) - x):.1f}" '
                 f'height="{height}" class="{kind}" {more}><title>{escape(title)}</title></rect>')

    def draw(self):
        clients = sorted({name for row in self.rows for name in row.get("acks", {})})
        day = time.strftime("%Y-%m-%d", time.gmtime(self.begin))
        self.text(8, self.top + 12, f"{self.count} brokers, {day}, times are UTC", "dim")
        y = lanes = self.top + 22
        names = [f"broker {node}" for node in range(1, self.count + 1)] + ["a consumer"]
        for place, name in enumerate(names):
            self.lane(name, y, LANE - 3)
            for row in self.rows:
                if "fault" in row and (place + 1 in row["victims"]
                                       or (place == self.count and not row["victims"])):
                    self.fault(row, row.get("parts", {}).get(str(place + 1), row["fault"]), y)
            y += LANE
        for client in clients:
            y = self.client(client, y + 8)
        self.axis(lanes, y)
        return y + 26

    def lane(self, name, y, height):
        self.add(f'<rect x="{LEFT}" y="{y}" width="{WIDTH}" height="{height}" class="lane"/>')
        self.text(LEFT - 8, y + 13, name, anchor="end")

    def fault(self, row, name, y):
        color = COLORS.get(name, "#888888")
        title = (f"{row['fault']} {row.get('detail', '')}, {row['healed'] - row['begin']:.1f} s; "
                 f"all well {row['end'] - row['healed']:.1f} s later; longest pause "
                 f"{row['pause']:.2f} s {row.get('note', '')}")
        self.rectangle(row["healed"], row["end"], y, LANE - 3, "", title,
                       f'fill="{color}" fill-opacity=".25"')
        self.rectangle(row["begin"], row["healed"], y, LANE - 3, "", title, f'fill="{color}"')
        if (row["healed"] - row["begin"]) * self.scale > 6 * len(name):
            self.text(self.x(row["begin"]) + 3, y + 12, name, "inbar")

    def client(self, client, y):
        rounds = [row for row in self.rows if client in row.get("acks", {})]
        self.lane(client, y, ACKS)
        # What waited comes at once after a fault; such a second must not flatten all others.
        counts = sorted(count for row in rounds for count in row["acks"][client]) or [1]
        most = max(1, 2 * counts[len(counts) // 2])
        self.text(LEFT - 8, y + 26, f"to {most} acks/s", "dim small", "end")
        for row in rounds:
            points = []
            for second, count in enumerate(row["acks"][client]):
                begin = row["begin"] + second
                if self.begin <= begin < self.end:
                    height = min(1, count / most) * (ACKS - 2)
                    points += [(self.x(begin), height), (self.x(begin + 1), height)]
            if points:
                line = " ".join(f"{x:.1f},{y + ACKS - height:.1f}" for x, height in points)
                self.add(f'<polygon class="acks" points="{points[0][0]:.1f},{y + ACKS} {line} '
                         f'{points[-1][0]:.1f},{y + ACKS}"/>')
        y += ACKS + 2
        self.lane("pauses", y, GAPS)
        gaps = [gap for row in rounds for gap in row["gaps"].get(client, [])
                if gap[1] >= self.begin and gap[0] <= self.end]
        named = []
        # The longest ones have their figures, where two would not fit.
        for begin, end, longest in sorted(gaps, key=lambda gap: -gap[2]):
            self.rectangle(begin, end, y + 12, 6, "gap", f"{longest:.2f} s on one partition")
            if all(abs(self.x(begin) - x) >= 32 for x in named):
                self.text(self.x(begin), y + 10, f"{longest:.1f} s", "small")
                named.append(self.x(begin))
        return y + GAPS

    def axis(self, top, bottom):
        step = 60 if self.end - self.begin > 200 else 10
        when = self.begin - self.begin % step + step
        while when < self.end:
            x = self.x(when)
            self.add(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" class="grid"/>')
            shape = "%H:%M" if step == 60 else "%H:%M:%S"
            text = time.strftime(shape, time.gmtime(when))
            self.text(x, bottom + 14, text, "dim small", "middle")
            when += step
        named = []
        for row in self.rows:
            if "round" in row:
                last = max((fault["end"] for fault in self.rows if "fault" in fault
                            and row["begin"] <= fault["begin"] <= row["end"]), default=row["end"])
                if last < self.end and row["end"] > self.begin:
                    self.rectangle(last, row["end"], top, bottom - top, "check",
                                   f"{row['round']}: everything is read and checked")
            if "violation" in row:
                x = self.x(row["when"])
                self.add(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" class="bad"/>')
                if all(abs(x - other) > 70 for other in named):
                    side = "end" if x > LEFT + WIDTH - 60 else "middle"
                    self.text(x, top - 3, row["violation"], "badtext", side)
                    named.append(x)


def legend(rows, top):
    """A row of colours: only of what was done."""
    parts, x = [], LEFT
    done = {row["fault"] for row in rows if "fault" in row}
    done.update(*(row["parts"].values() for row in rows if row.get("parts")))
    for name in [name for name in COLORS if name in done]:
        parts.append(f'<rect x="{x}" y="{top}" width="11" height="11" fill="{COLORS[name]}"/>'
                     f'<text x="{x + 15}" y="{top + 10}">{name}</text>')
        x += 30 + 6 * len(name)
    parts.append(f'<text x="{LEFT}" y="{top + 27}" class="dim">a bar is the fault, its pale end '
                 "the time until all is in sync again; grey: everything is read and checked; "
                 "pauses: a partition without an acknowledgement for over a second</text>")
    return parts


def picture(rows):
    """The whole file."""
    parts, top = legend(rows, 12), 52
    for count, begin, end, inside in strips(rows):
        strip = Strip(count, begin, end, inside, top)
        top = strip.draw() + 14
        parts += strip.parts
    size = f'width="{LEFT + WIDTH + 20}" height="{top:.0f}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" '
        f'viewBox="0 0 {LEFT + WIDTH + 20} {top:.0f}">',
        "<title>Faults, acknowledgements and pauses of a chaos run</title>",
        f"<style>{STYLE}</style>", '<rect width="100%" height="100%" class="back"/>',
        *parts, "</svg>", ""])
