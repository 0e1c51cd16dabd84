public import Model
internal import NIOCore

/// Why a compaction did not finish.
public enum CompactionError: Error, Hashable, Sendable {
    /// Nothing was changed.
    case disk(DiskError)
    /// A batch cannot be read; nothing was changed.
    case unreadable(segment: Offset, position: Int64)
    /// The new files had begun to replace the old ones; opening the log anew finishes that.
    case interrupted(DiskError)
}

/// What a compaction made, to be given back to its log.
public struct CompactionResult: Sendable {
    /// Bytes of the segments before and after.
    public let bytesBefore: Int64
    public let bytesAfter: Int64
    /// Why it stopped before the last group; the groups before are done.
    public let stopped: CompactionError?
    /// Everything below was looked at.
    let cleanedUpTo: Offset
    let replacements: [Replacement]

    /// A compacted segment and the segments whose place it takes.
    struct Replacement: Sendable {
        let originals: [Offset]
        let segment: Segment
    }
}

/// Rewrites sealed segments so that of each key only the last record stays; a value that a disk
/// thread runs.
///
/// Two passes: the first collects the last offset of each key in the part that was never cleaned
/// (within bounds of memory: what does not fit waits for the next run), the second writes what
/// stays, segment group by segment group. Offsets never change. The last batch of a group stays,
/// empty if need be, so that no end of a log is forgotten, and so does the last batch of each
/// producer. Tombstones stay for `delete.retention.ms` after they were first seen (KIP-534).
///
/// Swap of a group, crash-safe at every step:
/// ```
/// write base.cleaned, fsync          crash: .cleaned is removed
/// rename to base.swap, fsync dir     from here on the new file counts
/// remove the originals' index files and all originals but the first, fsync dir
/// rename base.swap to base.log       crash before: opening does these two steps
/// ```
public struct CompactionTask: Sendable {
    /// A segment to be compacted, with its file held open.
    struct Source: Sendable {
        let segment: Segment
        let file: any DiskFile
    }

    let directory: String
    let disk: any Disk
    let groups: [[Source]]
    /// Below this everything was cleaned before: no need to look for keys there.
    let firstDirtyOffset: Offset
    let now: Timestamp
    let deleteRetentionMilliseconds: Int64
    let indexInterval: Int64
    /// The last offset of the last batch of each producer.
    let lastBatches: Set<Int64>
    /// The first offset that the task does not look at.
    public let endOffset: Offset

    /// Reads and writes all groups; long.
    public func run() throws(CompactionError) -> CompactionResult {
        var keys = KeyMap()
        var cleanedUpTo = endOffset
        for source in groups.joined() where source.segment.nextOffset > firstDirtyOffset {
            if let stop = try collect(source, into: &keys) {
                cleanedUpTo = stop
                break
            }
        }
        var replacements: [CompactionResult.Replacement] = []
        var before: Int64 = 0
        var after: Int64 = 0
        var stopped: CompactionError?
        for group in groups {
            let segment: Segment
            do throws(CompactionError) {
                segment = try rewrite(group, keys)
            } catch {
                if case .interrupted = error { throw error }
                if replacements.isEmpty { throw error }
                stopped = error
                cleanedUpTo = min(cleanedUpTo, group[0].segment.baseOffset)
                break
            }
            before += group.reduce(0) { $0 + $1.segment.size }
            after += segment.size
            replacements.append(
                CompactionResult.Replacement(
                    originals: group.map(\.segment.baseOffset), segment: segment))
        }
        return CompactionResult(
            bytesBefore: before, bytesAfter: after, stopped: stopped, cleanedUpTo: cleanedUpTo,
            replacements: replacements)
    }

    /// Notes the keys of a segment; where it stopped once the map is full.
    private func collect(_ source: Source, into keys: inout KeyMap) throws(CompactionError)
        -> Offset?
    {
        var walk = SegmentWalk(source.file, in: source.segment)
        while let (header, position) = try next(&walk, source) {
            guard header.lastOffset >= firstDirtyOffset, !header.isControl else { continue }
            let bytes = try read(source, header, position)
            guard let payload = PartitionLog.payload(of: header, in: bytes, at: 0) else {
                throw .unreadable(segment: source.segment.baseOffset, position: position)
            }
            var reader = RecordReader(payload: payload, header: header)
            do throws(RecordError) {
                while let frame = try reader.nextFrame() {
                    let offset = reader.offset(of: frame)
                    guard offset >= firstDirtyOffset, let key = reader.key(of: frame) else {
                        continue
                    }
                    guard keys.note(key, at: offset) else { return offset }
                }
            } catch {
                throw .unreadable(segment: source.segment.baseOffset, position: position)
            }
        }
        return nil
    }

    /// Writes one group to its new file and puts that in place.
    private func rewrite(_ group: [Source], _ keys: KeyMap) throws(CompactionError) -> Segment {
        let base = group[0].segment.baseOffset
        let lastOffset = group[group.count - 1].segment.nextOffset.rawValue - 1
        let cleaned = LogFile.cleaned(base).path(in: directory)
        let output: any DiskFile
        var segment = Segment(baseOffset: base, indexInterval: indexInterval)
        do throws(DiskError) {
            output = try disk.open(cleaned, .replace)
        } catch {
            throw .disk(error)
        }
        for source in group {
            var walk = SegmentWalk(source.file, in: source.segment)
            while let (header, position) = try next(&walk, source) {
                let isLast = header.lastOffset.rawValue == lastOffset
                let bytes = try read(source, header, position)
                let filter = BatchFilter(
                    keys: keys, now: now, deleteRetention: deleteRetentionMilliseconds,
                    keepsEmpty: isLast || lastBatches.contains(header.lastOffset.rawValue))
                guard let kept = filter.apply(to: bytes, header) else {
                    throw .unreadable(segment: source.segment.baseOffset, position: position)
                }
                guard kept.readableBytes > 0, let written = RecordBatchHeader(kept, at: 0) else {
                    continue
                }
                do throws(DiskError) {
                    try output.write(at: segment.size, head: kept, body: ByteBuffer())
                } catch {
                    _ = try? disk.remove(cleaned)
                    throw .disk(error)
                }
                segment.note(written)
            }
        }
        try swap(output, base: base, group: group.map(\.segment.baseOffset))
        segment.flushedSize = segment.size
        segment.isLinked = true
        try writeSummary(of: segment)
        segment.index = nil
        segment.lastAppend = now
        return segment
    }

    private func swap(
        _ output: any DiskFile, base: Offset, group: [Offset]
    ) throws(CompactionError) {
        let swap = LogFile.swap(base).path(in: directory)
        do throws(DiskError) {
            try output.synchronize(.compactedData)
        } catch {
            throw .disk(error)
        }
        do throws(DiskError) {
            try disk.rename(LogFile.cleaned(base).path(in: directory), to: swap)
            try disk.synchronizeDirectory(directory, .compactedDirectory)
            try SwapCompletion.finish(
                base, replacing: group, directory: directory, disk: disk)
        } catch {
            throw .interrupted(error)
        }
    }

    /// The summary is a convenience: without it the next opening scans the segment.
    private func writeSummary(of segment: Segment) throws(CompactionError) {
        guard let index = segment.index else { return }
        do throws(DiskError) {
            let file = try disk.open(
                LogFile.index(segment.baseOffset).path(in: directory), .replace)
            try file.write(
                at: 0, head: SegmentSummary(segment: segment, index: index).encode(),
                body: ByteBuffer())
        } catch {
            throw .interrupted(error)
        }
    }

    private func next(
        _ walk: inout SegmentWalk, _ source: Source
    ) throws(CompactionError) -> (header: RecordBatchHeader, position: Int64)? {
        do throws(WalkError) {
            return try walk.next()
        } catch {
            switch error {
            case .disk(let failure): throw .disk(failure)
            case .batch(_, let position):
                throw .unreadable(segment: source.segment.baseOffset, position: position)
            }
        }
    }

    private func read(
        _ source: Source, _ header: RecordBatchHeader, _ position: Int64
    ) throws(CompactionError) -> ByteBuffer {
        var bytes = ByteBuffer()
        do throws(DiskError) {
            let read = try source.file.read(at: position, length: header.totalBytes, into: &bytes)
            guard read == header.totalBytes else { throw DiskError.inputOutput }
        } catch {
            throw .disk(error)
        }
        return bytes
    }
}

/// The last steps of replacing segments by a compacted one, from the moment its `.swap` name is
/// durable; done by the compaction, or by the next opening after a crash.
enum SwapCompletion {
    static func finish(
        _ base: Offset, replacing originals: [Offset], directory: String, disk: any Disk
    ) throws(DiskError) {
        for original in originals {
            try disk.removeIfPresent(LogFile.index(original).path(in: directory))
            if original != base {
                try disk.removeIfPresent(LogFile.log(original).path(in: directory))
            }
        }
        // An old index beside the new file would vouch for bytes that are not there.
        try disk.synchronizeDirectory(directory, .originalsDirectory)
        try disk.rename(
            LogFile.swap(base).path(in: directory), to: LogFile.log(base).path(in: directory))
    }

    /// Finishes what a crash interrupted: a `.swap` file replaces every segment that begins within
    /// its offsets. Gives the bases that are left.
    static func recover(
        _ base: Offset, among bases: [Offset], directory: String, disk: any Disk
    ) throws(DiskError) -> [Offset] {
        let file = try disk.open(LogFile.swap(base).path(in: directory), .read)
        var walk = SegmentWalk(file, size: try file.size(), expecting: base)
        var next = base
        do throws(WalkError) {
            while let (header, _) = try walk.next() { next = header.lastOffset.advanced(by: 1) }
        } catch {
            // Damage is reported when the segment is opened; what was read still replaces.
            if case .disk(let failure) = error { throw failure }
        }
        let replaced = bases.filter { $0 >= base && $0 < next }
        try finish(base, replacing: replaced + [base], directory: directory, disk: disk)
        return (bases.filter { $0 < base || $0 >= next } + [base]).sorted()
    }
}
