internal import Model
internal import NIOCore

/// What the mark of a clean stop says of the logs, so that a copy that lost some of them since is
/// not taken for one that holds everything.
///
/// ```
/// format=1
/// partitions=12      directories of partitions
/// logs=9f...         CRC-32C of the names and sizes of all segments, by directory, in hexadecimal
/// crc=123            CRC-32C of the lines before
/// ```
///
/// A broker whose logs are others than the mark says starts like after a crash: with a new log
/// epoch, so that no in-sync set counts its copies. It does not find out what was written anew to
/// the same length: that is what the batches' checksums are for. Costs a look at the size of each
/// segment, once at a stop and once at a start.
enum CleanMark {
    /// Four lines.
    static let maximumBytes = 256

    static func content(of disk: any Disk) throws(DiskError) -> ByteBuffer {
        let (partitions, logs) = try fingerprint(of: disk)
        let text =
            "format=1\npartitions=\(partitions)\nlogs=\(String(logs, radix: 16))\n"
        let crc = CRC32C.checksum(of: ByteBuffer(string: text))
        return ByteBuffer(string: text + "crc=\(crc)\n")
    }

    /// Whether the logs are as the mark says. One that is torn, or too long, says that nothing is
    /// known; so does an empty one, which is what a power cut may leave, because a mark is not
    /// synced. Builds whose marks were empty are taken to have crashed, once.
    static func holds(_ mark: ByteBuffer?, on disk: any Disk) throws(DiskError) -> Bool {
        guard let mark, mark.readableBytes > 0 else { return false }
        return try content(of: disk) == mark
    }

    private static func fingerprint(
        of disk: any Disk
    ) throws(DiskError) -> (partitions: Int, logs: UInt32) {
        var lines = ByteBuffer()
        var checksum: UInt32 = 0
        var partitions = 0
        for topic in try names(in: "logs", on: disk) {
            for partition in try names(in: "logs/\(topic)", on: disk) {
                let directory = "logs/\(topic)/\(partition)"
                partitions += 1
                lines.clear()
                lines.writeInteger(checksum)
                lines.writeString("\(directory)\n")
                for name in try names(in: directory, on: disk) where name.hasSuffix(".log") {
                    let size = try disk.open("\(directory)/\(name)", .read).size()
                    lines.writeString("\(name) \(size)\n")
                }
                checksum = CRC32C.checksum(of: lines)
            }
        }
        return (partitions, checksum)
    }

    /// Nothing in what is not there.
    private static func names(
        in directory: String, on disk: any Disk
    ) throws(DiskError) -> [String] {
        do throws(DiskError) {
            return try disk.list(directory)
        } catch .notFound {
            return []
        }
    }
}
