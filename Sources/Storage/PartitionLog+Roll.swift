internal import Model
internal import NIOCore

extension PartitionLog {
    /// Begins a new segment where the batches do not fit, come too late or reach too far.
    mutating func rollIfNeeded(for batches: Batches, now: Now) {
        guard active.size > 0 else { return }
        let limit = min(configuration.segmentBytes, LogConfiguration.maximumSegmentBytes)
        let span = batches.first.header.lastOffsetDelta
        let reach =
            active.nextOffset.rawValue - active.baseOffset.rawValue + Int64(span)
            + batches.bytes  // a record takes more than a byte
        let newest = batches.rest.last?.header.maxTimestamp ?? batches.first.header.maxTimestamp
        let isFull = active.size > limit - batches.bytes
        if isFull || reach > Int64(Int32.max) || isAged(newest, now: now) { roll() }
    }

    private func isAged(_ newest: Timestamp, now: Now) -> Bool {
        guard let first = active.firstTimestamp else { return false }
        // Where clients give no time the broker's own decides.
        let latest = newest.milliseconds >= 0 ? newest : now.wall
        let (age, overflow) = latest.milliseconds.subtractingReportingOverflow(
            first.milliseconds)
        return !overflow && age > configuration.segmentMilliseconds
    }

    /// Seals the active segment and begins a new one at the log's end.
    ///
    /// Nothing is written here: the next append makes the file, the next flush writes the sealed
    /// segment's summary. The index stays in memory until then.
    public mutating func roll() {
        guard active.size > 0 else { return }
        precondition(active.index != nil, "the segment that is written has its index in memory")
        let end = endOffset
        pendingSeals.append(
            PendingSeal(
                baseOffset: active.baseOffset,
                snapshot: LogSnapshot(offset: end, epochs: epochs, producers: producers).encode(),
                snapshotOffset: end))
        segments.append(
            Segment(baseOffset: end, indexInterval: configuration.indexIntervalBytes))
    }

    /// A sealed segment waits for its summary: the shell should flush soon, in any flush mode.
    public var wantsSeal: Bool { !pendingSeals.isEmpty }
}
