import Model
import NIOCore
import Storage

/// This broker's copies of feeds on its disk, one file for each.
///
///     DIR/copies/slot-7-N  the committed offsets of slot 7 of the topic whose id ends with N
///     DIR/copies/ends-2    how far the partitions that broker 2 leads had come
///
/// Snapshots of a cache: written half a minute after a change and at an orderly stop, each put in
/// place by a rename, checked by its own checksum when read. What is lost of them the mesh has,
/// unless every broker stops at once without order; then the last half minute is lost, and only
/// where the slots' own logs are lost too does anybody miss it.
enum FeedFiles {
    static let directory = "copies"
    /// The largest file that is read: a feed with what stands around it.
    private static let fileBytesMaximum = 4 << 20
    /// More than there may be feeds.
    private static let filesMaximum = 16_384

    /// On a thread that may wait for the disk.
    static func write(_ files: [(name: String, ByteBuffer)], on disk: any Disk) throws(DiskError) {
        do throws(DiskError) {
            try disk.makeDirectory(directory)
        } catch .alreadyExists {}
        for (name, content) in files {
            try disk.replaceDurably(
                "\(directory)/\(name)", in: directory, content: content, file: .tableRewrite,
                directory: .tableRewriteDirectory)
        }
    }

    /// All that can be read; what can't is left to the mesh.
    static func read(on disk: any Disk) -> [ByteBuffer] {
        let names = (try? disk.list(directory)) ?? []
        return names.sorted().prefix(filesMaximum).compactMap { name in
            guard !name.hasSuffix(".tmp") else { return nil }
            return try? disk.readWhole("\(directory)/\(name)", limit: fileBytesMaximum)
        }
    }

    /// A slot that is gone; a file that stays is of no topic, and is not looked at.
    static func remove(_ name: String, on disk: any Disk) {
        try? disk.remove("\(directory)/\(name)")
    }

    /// Another mesh's offsets must never be taken for this one's.
    static func remove(on disk: any Disk) throws(DiskError) {
        guard disk.exists(directory) else { return }
        for name in try disk.list(directory) { try disk.remove("\(directory)/\(name)") }
        try disk.remove(directory)
    }
}
