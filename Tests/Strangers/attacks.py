"""What strangers do. Each check returns a line of figures or raises Failure."""

import select
import socket
import struct
import time
from dataclasses import dataclass

import wire

CHECKS = {}
PATIENCE = 10.0


class Failure(Exception):
    """The broker answered a stranger in a way that it must not."""


@dataclass
class Stage:
    """Where the strangers play: the broker's address and the run's random source."""

    address: tuple
    random: object
    connections: int

    def connect(self):
        return wire.connect(self.address)


def check(function):
    CHECKS[function.__name__.replace("_", "-")] = function
    return function


def closed(connection, patience=PATIENCE):
    """True when the broker ends the connection; whatever it still says before is read."""
    end = time.monotonic() + patience
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(65_536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


def push(connection, data):
    """Sends what the other side takes; a connection that it closed is no error here."""
    try:
        connection.sendall(data)
        return True
    except OSError:
        return False


def answers(stage):
    """A fresh connection gets an answer to ApiVersions."""
    with stage.connect() as connection:
        connection.sendall(wire.api_versions(77))
        response = wire.read_response(connection)
    if response is None or response[0] != 77:
        raise Failure(f"no answer on a fresh connection: {response}")


@check
def random_bytes(stage):
    for _ in range(300):
        with stage.connect() as connection:
            push(connection, stage.random.randbytes(stage.random.choice((1, 4, 100, 5_000, 60_000))))
    answers(stage)
    return "300 connections"


@check
def truncated_frames(stage):
    count = 0
    for frame in (wire.api_versions(1), wire.request(wire.METADATA, 1, 2, struct.pack(">i", -1)),
                  wire.request(wire.FETCH, 4, 3, wire.fetch_body(b"beside", 0, 0, 1_000))):
        for size in range(len(frame)):
            with stage.connect() as connection:
                push(connection, frame[:size])
                if size % 2:  # half of them say goodbye, half just go
                    connection.shutdown(socket.SHUT_WR)
            count += 1
    answers(stage)
    return f"{count} prefixes"


@check
def bad_lengths(stage):
    lengths = (-1, -(1 << 31), 0, 1, 7, 16_777_217, 0x7FFFFFFF)
    for length in lengths:
        with stage.connect() as connection:
            push(connection, struct.pack(">i", length) + b"\0" * 16)
            if not closed(connection):
                raise Failure(f"length {length}: the connection stays open")
    answers(stage)
    return f"lengths {', '.join(map(str, lengths))}: each closed"


@check
def garbage_bodies(stage):
    """A valid header and then noise, for every API key and version there could be."""
    sent = dropped = 0
    for key in range(-1, 100):
        connection = stage.connect()
        for version in range(-1, 18):
            body = stage.random.randbytes(stage.random.choice((0, 3, 20, 200)))
            sent += 1
            if not push(connection, wire.request(key, version, sent, body)):
                dropped += 1
                connection.close()
                connection = stage.connect()
        connection.close()
    answers(stage)
    return f"{sent} requests"


@check
def garbage_bodies_one_by_one(stage):
    """The same for what is advertised, with a connection each and the answer waited for."""
    sent = answered = 0
    for key, (low, high) in sorted(wire.advertised(stage.address).items()):
        for version in range(low, high + 1):
            for size in (0, 9, 64, 300):
                with stage.connect() as connection:
                    push(connection, wire.request(key, version, 5, stage.random.randbytes(size)))
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(PATIENCE)
                    answered += wire.read_response(connection) is not None
                    sent += 1
    answers(stage)
    return f"{sent} requests, {answered} answered, the others' connections closed"


@check
def huge_counts(stage):
    """Array and string lengths of two thousand millions, in both encodings."""
    fillers = (b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff\x0f", b"\x7f\xff", b"\xff\xff\xff\xfe")
    sent = 0
    for key, (low, high) in sorted(wire.advertised(stage.address).items()):
        for version in range(low, high + 1):
            for filler in fillers:
                for lead in (0, 2, 8, 17):
                    with stage.connect() as connection:
                        push(connection, wire.request(key, version, 9, b"\0" * lead + filler * 30))
                    sent += 1
    answers(stage)
    return f"{sent} requests"


@check
def spoiled_batches(stage):
    """Record batches that lie: each is refused, and the partition goes on."""
    good = [b"one", b"two"]
    spoiled = {
        "wrong crc": wire.batch(good, crc=1),
        "magic 0": wire.batch(good, magic=0), "magic 1": wire.batch(good, magic=1),
        "magic 3": wire.batch(good, magic=3), "magic -1": wire.batch(good, magic=-1),
        "negative length": wire.batch(good, length=-5), "length 0": wire.batch(good, length=0),
        "length past the end": wire.batch(good, length=10_000),
        "count too large": wire.batch(good, count=1_000_000_000),
        "negative count": wire.batch(good, count=-2),
        "negative last delta": wire.batch(good, last_delta=-3),
        "last delta of two thousand millions": wire.batch(good, last_delta=0x7FFFFFFF),
        "unknown codec": wire.batch(good, attributes=6),
        "control batch": wire.batch(good, attributes=0x20),
        "cut short": wire.batch(good)[:40], "a header alone": wire.batch(good)[:61],
        "nothing": b"",
    }
    with stage.connect() as connection:
        def produce(records, correlation):
            body = wire.produce_body(b"spoiled", 0, records)
            if not push(connection, wire.request(wire.PRODUCE, 3, correlation, body)):
                return None
            response = wire.read_response(connection)
            return None if response is None else wire.produce_error(response[1])

        connection.sendall(wire.request(
            wire.METADATA, 4, 1, struct.pack(">i", 1) + wire.string(b"spoiled") + b"\1"))
        wire.read_response(connection)
        end = time.monotonic() + PATIENCE
        while produce(wire.batch(good), 2) != 0:
            if time.monotonic() > end:
                raise Failure("a good batch is refused")
        for name, records in spoiled.items():
            error = produce(records, 3)
            if error is None:
                connection.close()
                connection = stage.connect()
            elif error == 0:
                raise Failure(f"{name}: accepted")
        if produce(wire.batch(good), 4) != 0:
            raise Failure("a good batch is refused after the spoiled ones")
    return f"{len(spoiled)} batches refused"


@check
def half_open(stage):
    """Connections that vanish: by reset, by half a goodbye, in the middle of a frame."""
    keep = []
    for number in range(600):
        connection = stage.connect()
        if number % 3 == 0:
            push(connection, wire.api_versions(1)[:9])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        elif number % 3 == 1:
            push(connection, wire.api_versions(1) * 3)
            connection.shutdown(socket.SHUT_WR)
            keep.append(connection)
        else:
            push(connection, struct.pack(">i", 1_000_000) + b"\0" * 10)
            keep.append(connection)
    answers(stage)
    for connection in keep:
        connection.close()
    return "600 connections"


@check
def slowloris(stage):
    """A byte a second from each of 200 connections, on frames that claim to be large."""
    crowd = [stage.connect() for _ in range(200)]
    frame = struct.pack(">i", 15_000_000) + struct.pack(">hhih", 0, 9, 1, 100)
    for position in range(6):
        started = time.monotonic()
        for connection in crowd:
            push(connection, frame[position:position + 1])
        answers(stage)
        select.select([], [], [], max(0, started + 1 - time.monotonic()))
    for connection in crowd:
        connection.close()
    return "200 connections for 6 s"


@check
def idle_connections(stage):
    crowd = []
    try:
        for _ in range(stage.connections):
            crowd.append(stage.connect())
        for number in range(0, len(crowd), 50):
            crowd[number].sendall(wire.api_versions(number))
        for number in range(0, len(crowd), 50):
            response = wire.read_response(crowd[number])
            if response is None or response[0] != number:
                raise Failure(f"connection {number} of {len(crowd)} got no answer")
    finally:
        for connection in crowd:
            connection.close()
    return f"{len(crowd)} connections at once"


@check
def pipelined_without_reading(stage):
    """10,000 requests on each of ten connections before the first answer is read."""
    total = 10_000
    for connection in [stage.connect() for _ in range(10)]:
        with connection:
            numbers = drive_pipeline(
                connection, (wire.api_versions(number) for number in range(total)), total)
            if numbers != list(range(total)):
                raise Failure(f"{len(numbers)} answers, or not in order")
    return f"10 x {total} requests, all answered in order"


def drive_pipeline(connection, frames, total):
    """Writes until the broker takes no more, only then reads; returns the correlation ids."""
    data = bytearray(b"".join(frames))
    numbers, received = [], bytearray()
    connection.setblocking(False)
    position, end = 0, time.monotonic() + 60
    while len(numbers) < total:
        if time.monotonic() > end:
            raise Failure(f"{len(numbers)} of {total} answers after 60 s")
        if position < len(data):
            _, writable, _ = select.select([], [connection], [], 0.2)
            if writable:
                position += connection.send(data[position:position + 65_536])
                continue
        select.select([connection], [], [], 1)
        try:
            part = connection.recv(1 << 20)
        except BlockingIOError:
            continue
        if not part:
            raise Failure(f"closed after {len(numbers)} of {total} answers")
        received += part
        start = 0
        while len(received) - start >= 8:
            size, number = struct.unpack_from(">ii", received, start)
            if len(received) - start < 4 + size:
                break
            numbers.append(number)
            start += 4 + size
        del received[:start]
    return numbers


@check
def fetches_without_reading(stage):
    """500 fetches of 1 MB each on each of four connections, never read: memory must not follow."""
    with stage.connect() as connection:
        connection.sendall(wire.request(
            wire.METADATA, 4, 1, struct.pack(">i", 1) + wire.string(b"bulk") + b"\1"))
        wire.read_response(connection)
        records = wire.batch([b"x" * 100_000])
        stored, end = 0, time.monotonic() + 20
        while stored < 12:
            if time.monotonic() > end:
                raise Failure("the topic could not be filled")
            connection.sendall(wire.request(
                wire.PRODUCE, 3, 2, wire.produce_body(b"bulk", 0, records)))
            stored += wire.produce_error(wire.read_response(connection)[1]) == 0
    crowd = [stage.connect() for _ in range(4)]
    frame = wire.request(wire.FETCH, 4, 3, wire.fetch_body(b"bulk", 0, 0, 1_000_000))
    for connection in crowd:
        connection.setblocking(False)
        try:
            for _ in range(500):
                connection.send(frame)
        except BlockingIOError:
            pass
    answers(stage)
    select.select([], [], [], 2)  # what the broker would buffer, it buffers now
    answers(stage)
    for connection in crowd:
        connection.close()
    return "4 x 500 fetches of 1 MB, unread"
