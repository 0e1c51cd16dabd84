internal import Model
internal import NIOCore

/// The first readable offset of a log, in a file of its own: what DeleteRecords and retention
/// promise must survive a crash before anything is removed.
///
/// ```
/// +------+-----+--------------+
/// | GSTA | CRC | offset   i64 |
/// +------+-----+--------------+
/// ```
enum LogStartFile {
    private static let magic: UInt32 = 0x4753_5441
    private static let size = 16

    /// nil where there is none or it cannot be believed: then the first segment decides.
    static func read(in directory: String, _ disk: any Disk) throws(DiskError) -> Offset? {
        guard
            var bytes = try disk.readWhole(
                LogFile.start.path(in: directory), limit: size),
            let (magic, crc) = bytes.readMultipleIntegers(as: (UInt32, UInt32).self),
            magic == Self.magic, CRC32C.checksum(of: bytes) == crc,
            let offset = bytes.readInteger(as: Int64.self), offset >= 0
        else { return nil }
        return Offset(offset)
    }

    static func encode(_ offset: Offset) -> ByteBuffer {
        let content = ByteBuffer(integer: offset.rawValue)
        var file = ByteBuffer()
        file.writeMultipleIntegers(magic, CRC32C.checksum(of: content))
        file.writeImmutableBuffer(content)
        return file
    }
}
