import NIOCore

/// Cuts a connection's byte stream into request frames.
///
///     length i32 | request (length bytes)
///
/// A frame that arrives whole is a slice of the socket's own buffer; one that arrives in pieces is
/// gathered in `gathered`, which grows with the bytes that came and not with the length that a
/// stranger claims.
struct FrameCutter {
    /// Why the stream can't go on: the connection is closed.
    enum Violation: Error, Equatable {
        case negativeLength(Int32)
        case tooLong(Int32, limit: Int)
        case tooShort(Int32)
    }

    /// Key, version and correlation id: what the shortest header has.
    static let shortestFrame: Int32 = 8
    /// Room made at once for a frame that has begun: enough for a full producer batch, and memory
    /// that is not written is not taken from the machine.
    static let reserveMaximum = 1 << 20
    /// Capacity kept between frames by a busy connection.
    static let keptMaximum = 2 << 20

    let frameMaximum: Int
    private var gathered = ByteBuffer()

    init(frameMaximum: Int) { self.frameMaximum = frameMaximum }

    /// Bytes of an unfinished frame.
    var pendingBytes: Int { gathered.readableBytes }

    /// Memory that is held.
    var capacity: Int { gathered.capacity }

    /// Whether a frame has begun.
    var isGathering: Bool { gathered.readableBytes > 0 }

    mutating func append(_ bytes: ByteBuffer) {
        if gathered.readableBytes == 0, gathered.capacity == 0 {
            gathered = bytes
            return
        }
        if gathered.readableBytes == 0 { gathered.clear() }
        if gathered.readerIndex > 0, gathered.writableBytes < bytes.readableBytes {
            // What was cut off already must go before the buffer grows.
            var room = ByteBufferAllocator().buffer(
                capacity: gathered.readableBytes + bytes.readableBytes)
            room.writeImmutableBuffer(gathered)
            gathered = room
        }
        gathered.writeImmutableBuffer(bytes)
    }

    /// The next whole frame without its length; nil where more bytes are needed.
    mutating func next() throws(Violation) -> ByteBuffer? {
        guard let length = gathered.getInteger(at: gathered.readerIndex, as: Int32.self) else {
            return nil
        }
        guard length >= 0 else { throw .negativeLength(length) }
        guard length >= Self.shortestFrame else { throw .tooShort(length) }
        guard Int(length) <= frameMaximum else { throw .tooLong(length, limit: frameMaximum) }
        guard gathered.readableBytes >= 4 + Int(length) else {
            makeRoom(for: 4 + Int(length))
            return nil
        }
        gathered.moveReaderIndex(forwardBy: 4)
        return gathered.readSlice(length: Int(length))
    }

    /// Moves what is left to the front once the frames before it are answered, so that a slice of
    /// the socket's buffer is not held for a few bytes.
    private mutating func makeRoom(for size: Int) {
        let wanted = min(size, Self.reserveMaximum)
        guard gathered.capacity - gathered.readerIndex < wanted else { return }
        var room = ByteBufferAllocator().buffer(capacity: max(wanted, gathered.readableBytes))
        room.writeImmutableBuffer(gathered)
        gathered = room
    }

    /// Called when nothing is pending: keeps a moderate buffer for the next frame if `busy`.
    mutating func release(keepingCapacity busy: Bool) {
        guard gathered.readableBytes == 0 else { return }
        if !busy || gathered.capacity > Self.keptMaximum { gathered = ByteBuffer() }
    }
}
