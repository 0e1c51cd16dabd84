"""Just enough of Kafka's wire to be rude on it: frames, headers, a record batch."""

import socket
import struct

PRODUCE, FETCH, METADATA, API_VERSIONS = 0, 1, 3, 18
# First version of each API with the flexible encoding (its request header ends with tagged fields).
FLEXIBLE_FROM = {
    0: 9, 1: 12, 2: 6, 3: 9, 8: 8, 9: 6, 10: 3, 11: 6, 12: 4, 13: 4, 14: 4, 15: 5, 16: 3, 18: 3,
    19: 5, 20: 4, 21: 2, 22: 2, 23: 4, 32: 4, 33: 2, 35: 2, 37: 2, 42: 2, 43: 2, 44: 1, 45: 0, 46: 0,
    47: 9_999, 60: 0, 61: 0, 75: 0}


def connect(address, timeout=10):
    connection = socket.create_connection(address, timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(key, version, correlation, body, client=b"stranger"):
    """A framed request with a valid header."""
    header = struct.pack(">hhih", key, version, correlation, len(client)) + client
    if version >= FLEXIBLE_FROM.get(key, 9_999):
        header += b"\0"
    return struct.pack(">i", len(header) + len(body)) + header + body


def api_versions(correlation):
    return request(API_VERSIONS, 0, correlation, b"")


def read_exactly(connection, count):
    """`count` bytes, or None when the other side closed or reset the connection first."""
    data = bytearray()
    while len(data) < count:
        try:
            part = connection.recv(min(1 << 20, count - len(data)))
        except ConnectionError:
            return None
        if not part:
            return None
        data += part
    return bytes(data)


def read_response(connection):
    """(correlation id, body) of the next response, or None at the end of the connection."""
    prefix = read_exactly(connection, 4)
    if prefix is None:
        return None
    frame = read_exactly(connection, struct.unpack(">i", prefix)[0])
    if frame is None:
        return None
    return struct.unpack(">i", frame[:4])[0], frame[4:]


def advertised(address):
    """{api key: (lowest version, highest version)} as the broker says."""
    with connect(address) as connection:
        connection.sendall(api_versions(1))
        _, body = read_response(connection)
    error, count = struct.unpack_from(">hi", body)
    if error:
        raise ValueError(f"ApiVersions failed with {error}")
    rows = [struct.unpack_from(">hhh", body, 6 + 6 * row) for row in range(count)]
    return {key: (low, high) for key, low, high in rows}


def string(text):
    return struct.pack(">h", len(text)) + text


def produce_body(topic, partition, records):
    """The body of Produce version 3: no transaction, acks=all, one partition."""
    return (struct.pack(">hhi", -1, -1, 5_000) + struct.pack(">i", 1) + string(topic)
            + struct.pack(">ii", 1, partition) + struct.pack(">i", len(records)) + records)


def fetch_body(topic, partition, offset, limit):
    """The body of Fetch version 4."""
    return (struct.pack(">iiiib", -1, 0, 1, limit, 0) + struct.pack(">i", 1) + string(topic)
            + struct.pack(">iiqi", 1, partition, offset, limit))


def produce_error(body):
    """The error code of the only partition in a Produce response, version 3."""
    length = struct.unpack_from(">h", body, 4)[0]
    return struct.unpack_from(">h", body, 6 + length + 4 + 4)[0]


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def batch(values, attributes=0, magic=2, count=None, last_delta=None, length=None, crc=None,
          payload=None):
    """A record batch of version 2; each argument but `values` spoils one field."""
    if payload is None:
        payload = b""
        for delta, value in enumerate(values):
            record = b"\0" + varint(0) + varint(delta) + varint(-1) + varint(len(value)) + value
            record += varint(0)
            payload += varint(len(record)) + record
    count = len(values) if count is None else count
    last_delta = len(values) - 1 if last_delta is None else last_delta
    checked = struct.pack(
        ">hiqqqhii", attributes, last_delta, 1_700_000_000_000, 1_700_000_000_000, -1, -1, -1,
        count) + payload
    crc = crc32c(checked) if crc is None else crc
    length = 9 + len(checked) if length is None else length
    return struct.pack(">qiibI", 0, length, -1, magic, crc) + checked
