public import Model
internal import NIOCore

extension PartitionLog {
    /// Segments that one run takes at most, so that it holds a bounded number of files open.
    private static let maximumCompactedSegments = 64

    /// What a compaction would do now; nil where the topic is not compacted, too little of the log
    /// is dirty, or a task that touches segments runs.
    ///
    /// Takes sealed segments below `limit` (the high-water mark) whose summaries are on disk and
    /// that are older than `min.compaction.lag.ms`. Their files are held open until the result
    /// comes back, so reads go on undisturbed while names change.
    public mutating func beginCompaction(now: Now, upTo limit: Offset) -> CompactionTask? {
        guard configuration.isCompacted, !compactionInFlight, !deletionInFlight, refusal == nil
        else { return nil }
        let count = cleanableCount(now: now, upTo: limit)
        guard count > 0, isWorthCompacting(segments[..<count], now: now) else { return nil }
        var sources: [CompactionTask.Source] = []
        for index in 0..<count {
            guard let file = try? file(of: segments[index].baseOffset, .readWrite) else {
                return nil
            }
            sources.append(CompactionTask.Source(segment: segments[index], file: file))
        }
        for index in 0..<count { segments[index].pinned = sources[index].file }
        compactionInFlight = true
        let last = producers.sorted.compactMap(\.entry.batches.last?.lastOffset.rawValue)
        return CompactionTask(
            directory: directory, disk: disk, groups: grouped(sources),
            firstDirtyOffset: cleanedUpTo, now: now.wall,
            deleteRetentionMilliseconds: configuration.deleteRetentionMilliseconds,
            indexInterval: configuration.indexIntervalBytes, lastBatches: Set(last),
            endOffset: segments[count - 1].nextOffset)
    }

    private func cleanableCount(now: Now, upTo limit: Offset) -> Int {
        var count = 0
        for segment in segments.dropLast().prefix(Self.maximumCompactedSegments) {
            let (age, overflow) = now.wall.milliseconds.subtractingReportingOverflow(
                segment.maxTimestamp.milliseconds)
            guard segment.size > 0, segment.nextOffset <= limit, segment.index == nil,
                segment.flushedSize == segment.size,
                overflow || age >= configuration.minCompactionLagMilliseconds
            else { break }
            count += 1
        }
        return count
    }

    private func isWorthCompacting(_ cleanable: ArraySlice<Segment>, now: Now) -> Bool {
        var dirty: Int64 = 0
        var total: Int64 = 0
        var oldestDirty: Timestamp?
        for segment in cleanable {
            total += segment.size
            guard segment.nextOffset > cleanedUpTo else { continue }
            dirty += segment.size
            oldestDirty = oldestDirty ?? segment.maxTimestamp
        }
        guard dirty > 0 else { return false }
        if Double(dirty) >= configuration.minCleanableDirtyRatio * Double(total) { return true }
        guard let oldestDirty else { return false }
        let (age, overflow) = now.wall.milliseconds.subtractingReportingOverflow(
            oldestDirty.milliseconds)
        return !overflow && age > configuration.maxCompactionLagMilliseconds
    }

    /// Neighbours that fit into one segment together are merged.
    private func grouped(_ sources: [CompactionTask.Source]) -> [[CompactionTask.Source]] {
        let limit = min(configuration.segmentBytes, LogConfiguration.maximumSegmentBytes)
        var groups: [[CompactionTask.Source]] = []
        var size: Int64 = 0
        for source in sources {
            let base = groups.last?.first?.segment.baseOffset ?? source.segment.baseOffset
            let reach = source.segment.nextOffset.rawValue - base.rawValue
            if !groups.isEmpty, size + source.segment.size <= limit, reach <= Int64(Int32.max) {
                groups[groups.count - 1].append(source)
                size += source.segment.size
            } else {
                groups.append([source])
                size = source.segment.size
            }
        }
        return groups
    }

    /// Puts the compacted segments in the place of their originals.
    public mutating func completeCompaction(_ task: CompactionTask, _ result: CompactionResult) {
        compactionInFlight = false
        loadedIndex = nil
        for replacement in result.replacements {
            for original in replacement.originals {
                files.forget(FileKey(log: number, baseOffset: original.rawValue))
            }
            guard let first = replacement.originals.first,
                let at = segments.firstIndex(where: { $0.baseOffset == first })
            else { continue }
            segments.replaceSubrange(
                at..<(at + replacement.originals.count), with: [replacement.segment])
        }
        for index in segments.indices { segments[index].pinned = nil }
        cleanedUpTo = max(cleanedUpTo, result.cleanedUpTo)
    }

    /// The task failed. If files had begun to change names the log takes no more writes until it is
    /// opened anew, which finishes the change; reads go on from the files that are held.
    public mutating func failCompaction(_ task: CompactionTask, _ error: CompactionError) {
        if case .interrupted(let failure) = error {
            refusal = .writeFailed(failure)
            return
        }
        compactionInFlight = false
        for index in segments.indices { segments[index].pinned = nil }
    }
}
