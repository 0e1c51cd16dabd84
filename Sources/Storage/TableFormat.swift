internal import Model
internal import NIOCore

/// The bytes of a table's file; the picture is at `TableFile`.
enum TableFormat {
    private static let magic: UInt32 = 0x4754_4142
    private static let version: UInt32 = 1
    private static let frameMagic: UInt32 = 0x4745_4E54
    private static let frameHeader = 12

    static var header: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(magic, version)
        return buffer
    }

    /// Bytes that an entry takes in a frame of its own.
    static func cost(key: String, value: ByteBuffer) -> Int64 {
        Int64(frameHeader + 4 + 4 + key.utf8.count + 8 + 4 + value.readableBytes)
    }

    static func frame(_ changes: [TableFile.Change]) -> ByteBuffer {
        var content = ByteBuffer()
        content.writeInteger(UInt32(changes.count))
        for change in changes {
            content.writeInteger(UInt32(change.key.utf8.count))
            content.writeString(change.key)
            content.writeInteger(change.version)
            content.writeInteger(change.value.map { Int32($0.readableBytes) } ?? -1)
            if let value = change.value { content.writeImmutableBuffer(value) }
        }
        var frame = ByteBuffer()
        frame.writeMultipleIntegers(
            frameMagic, UInt32(content.readableBytes), CRC32C.checksum(of: content))
        frame.writeImmutableBuffer(content)
        return frame
    }

    /// Gives each change in the file's order; returns where the whole frames end.
    static func decode(
        _ file: ByteBuffer, _ body: (TableFile.Change) -> Void
    ) throws(TableError) -> Int {
        guard file.readableBytes >= header.readableBytes else { return 0 }
        guard file.getInteger(at: 0, as: UInt32.self) == magic else {
            // A torn creation may have left zeros; a table never begins with anything else.
            guard file.readableBytesView.allSatisfy({ $0 == 0 }) else {
                throw .corrupt(position: 0)
            }
            return 0
        }
        guard let version = file.getInteger(at: 4, as: UInt32.self), version == Self.version else {
            throw .unsupportedVersion(file.getInteger(at: 4, as: UInt32.self) ?? 0)
        }
        var position = header.readableBytes
        while position < file.writerIndex {
            guard let (changes, end) = decodeFrame(file, at: position) else {
                var candidate = position + 1
                while candidate < file.writerIndex {
                    if decodeFrame(file, at: candidate) != nil {
                        throw .corrupt(position: position)
                    }
                    candidate += 1
                }
                return position
            }
            for change in changes { body(change) }
            position = end
        }
        return position
    }

    /// nil for anything but a whole frame with a right checksum.
    private static func decodeFrame(
        _ file: ByteBuffer, at position: Int
    ) -> ([TableFile.Change], end: Int)? {
        guard file.getInteger(at: position, as: UInt32.self) == frameMagic,
            let length = file.getInteger(at: position + 4, as: UInt32.self),
            let crc = file.getInteger(at: position + 8, as: UInt32.self),
            Int(length) <= file.writerIndex - position - frameHeader,
            CRC32C.checksum(of: file, at: position + frameHeader, length: Int(length)) == crc,
            var content = file.getSlice(at: position + frameHeader, length: Int(length)),
            let count = content.readInteger(as: UInt32.self)
        else { return nil }
        var changes: [TableFile.Change] = []
        for _ in 0..<count {
            guard let keyLength = content.readInteger(as: UInt32.self),
                let key = content.readString(length: Int(keyLength)),
                let (version, length) = content.readMultipleIntegers(as: (UInt64, Int32).self),
                length >= -1
            else { return nil }
            var value: ByteBuffer?
            if length >= 0 {
                guard let slice = content.readSlice(length: Int(length)) else { return nil }
                // A copy, so that a small value does not keep the whole file in memory.
                value = ByteBuffer(bytes: slice.readableBytesView)
            }
            changes.append(TableFile.Change(key: key, version: version, value: value))
        }
        guard content.readableBytes == 0 else { return nil }
        return (changes, position + frameHeader + Int(length))
    }
}
