"""kcat as people use it in a shell."""

import json
import subprocess
import uuid

from harness import WAIT, case, check, equal, main, values

NO_AUTO_CREATE = "defaults: { autoCreateTopics: false }\n"


def unique(name):
    return f"{name}-{uuid.uuid4().hex[:8]}"


def kcat(bootstrap, *arguments, data=b"", fails=False):
    """Runs kcat with `data` as its input and returns its output."""
    done = subprocess.run(
        ["kcat", "-b", bootstrap, *arguments], input=data, capture_output=True, timeout=WAIT)
    if not fails and done.returncode != 0:
        raise AssertionError(f"kcat {' '.join(arguments)}: {done.stderr.decode()[-400:]}")
    if fails:
        check(done.returncode != 0, f"kcat {' '.join(arguments)} succeeded")
        return done.stderr
    return done.stdout


def lines(count, size=100):
    return b"".join(value + b"\n" for value in values(count, size))


def codec_case(codec):
    @case(f"codec-{codec}")
    def run(bootstrap):
        topic, data = unique("topic"), lines(2_000)
        kcat(bootstrap, "-P", "-t", topic, "-p", "0", "-z", codec, data=data)
        equal(kcat(bootstrap, "-C", "-q", "-t", topic, "-p", "0", "-o", "beginning", "-e"), data,
              "the lines")


for name in ("none", "gzip", "snappy", "lz4", "zstd"):
    codec_case(name)


@case("keys-headers-timestamps-json")
def shapes(bootstrap):
    topic = unique("topic")
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", "-K", ":", "-H", "a=1", "-H", "b=2",
         data=b"k1:v1\nk2:v2\n")
    out = kcat(bootstrap, "-C", "-q", "-t", topic, "-J", "-o", "beginning", "-e")
    rows = [json.loads(row) for row in out.splitlines()]
    equal([(r["key"], r["payload"], r["offset"], r["headers"]) for r in rows],
          [("k1", "v1", 0, ["a", "1", "b", "2"]), ("k2", "v2", 1, ["a", "1", "b", "2"])], "messages")
    check(all(r["tstype"] == "create" and r["ts"] > 1_600_000_000_000 for r in rows), "timestamps")


@case("empty-and-null")
def empty_and_null(bootstrap):
    topic = unique("topic")
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", "-K", ":", "-Z", data=b"k1:\nk2:x\n")
    out = kcat(bootstrap, "-C", "-q", "-t", topic, "-J", "-o", "beginning", "-e")
    equal([json.loads(r)["payload"] for r in out.splitlines()], [None, "x"], "payloads")


@case("metadata")
def metadata(bootstrap):
    topic = unique("topic")
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", data=b"v\n")
    found = json.loads(kcat(bootstrap, "-L", "-J"))
    equal(found["brokers"], [{"id": 1, "name": bootstrap}], "brokers")
    equal(found["controllerid"], 1, "controller")
    entry = next(t for t in found["topics"] if t["topic"] == topic)
    for partition in entry["partitions"]:
        equal((partition["leader"], partition["replicas"], partition["isrs"]),
              (1, [{"id": 1}], [{"id": 1}]), "partition")
    check(topic.encode() in kcat(bootstrap, "-L"), "the plain listing names the topic")


@case("query-offsets")
def query(bootstrap):
    topic = unique("topic")
    for number in range(3):
        kcat(bootstrap, "-P", "-t", topic, "-p", "0", data=b"v\n")

    def ask(stamp):
        out = kcat(bootstrap, "-Q", "-t", f"{topic}:0:{stamp}").decode().split()
        return int(out[-1])

    equal([ask(stamp) for stamp in (-2, -1, 1)], [0, 3, 0], "beginning, end, by time")


@case("positions")
def positions(bootstrap):
    topic = unique("topic")
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", data=b"".join(b"%d\n" % n for n in range(100)))

    def read(*arguments):
        out = kcat(bootstrap, "-C", "-q", "-t", topic, "-p", "0", "-e", *arguments)
        return [int(row) for row in out.split()]

    equal(read("-o", "beginning"), list(range(100)), "from the beginning")
    equal(read("-o", "40"), list(range(40, 100)), "from an offset")
    equal(read("-o", "-10"), list(range(90, 100)), "the last ten")
    equal(read("-o", "end"), [], "from the end")
    equal(read("-o", "beginning", "-c", "5"), list(range(5)), "five")
    equal(read("-o", "s@1", "-c", "1"), [0], "since a time")


@case("group")
def group(bootstrap):
    topic, name = unique("topic"), unique("group")
    kcat(bootstrap, "-P", "-t", topic, data=b"".join(b"%d\n" % n for n in range(100)))
    out = kcat(bootstrap, "-G", name, "-q", "-e", "-X", "auto.offset.reset=earliest", topic)
    equal(sorted(map(int, out.split())), list(range(100)), "all, by a group")
    kcat(bootstrap, "-P", "-t", topic, data=b"100\n")
    out = kcat(bootstrap, "-G", name, "-q", "-e", "-X", "auto.offset.reset=earliest", topic)
    equal(out.split(), [b"100"], "only the new one the second time")


@case("idempotent")
def idempotent(bootstrap):
    topic, data = unique("topic"), lines(1_000)
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", "-X", "enable.idempotence=true", data=data)
    equal(kcat(bootstrap, "-C", "-q", "-t", topic, "-p", "0", "-o", "beginning", "-e"), data, "lines")


@case("large-900-kb")
def large(bootstrap):
    topic, data = unique("topic"), lines(3, size=900_000)
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", data=data)
    check(kcat(bootstrap, "-C", "-q", "-t", topic, "-p", "0", "-o", "beginning", "-e") == data,
          "the lines")


@case("unknown-topic", config=NO_AUTO_CREATE)
def unknown(bootstrap):
    kcat(bootstrap, "-C", "-t", unique("absent"), "-e", fails=True)
    kcat(bootstrap, "-P", "-t", unique("absent"), "-X", "message.timeout.ms=3000", data=b"v\n",
         fails=True)
    found = json.loads(kcat(bootstrap, "-L", "-J"))
    equal([t for t in found["topics"] if not t["topic"].startswith("__")], [], "topics")


if __name__ == "__main__":
    main()
