public import Model
public import NIOCore

/// Who sends batches to a log, which decides what is checked.
public enum AppendOrigin: Sendable {
    /// A producer: everything is checked, offsets are given here.
    case client
    /// The broker's own coordinator: as a client, but control batches are allowed.
    case coordinator
    /// The partition's leader: offsets and epochs are in the batches already.
    case replica
}

extension PartitionLog {
    /// Appends one or more whole batches, as received but for base offset and leader epoch.
    ///
    /// Checks all of them before anything is written, and writes them with one system call: the
    /// patched head and the sender's own memory. Small batches also go to the tail cache. After an
    /// error the log is as before. Costs no allocation but for the tail cache's copy.
    public mutating func append(
        _ records: ByteBuffer, leaderEpoch: LeaderEpoch, origin: AppendOrigin, now: Now
    ) throws(AppendError) -> AppendOutcome {
        try refuseIfNeeded()
        let batches = try validate(records, origin: origin, now: now)
        if origin != .replica, case .duplicate(let batch) = try judge(batches) {
            return .duplicate(
                AppendOutcome.Appended(
                    baseOffset: batch.baseOffset, lastOffset: batch.lastOffset,
                    logAppendTime: nil, logStartOffset: startOffset))
        }
        if batches.isSparse, !isSparse {
            do throws(DiskError) { try noteSparse() } catch { throw .storage(error) }
        }
        rollIfNeeded(for: batches, now: now)
        let first = batches.first.header
        var placed = first
        if origin != .replica {
            placed.baseOffset = endOffset
            placed.leaderEpoch = leaderEpoch
            if configuration.timestampType == .logAppend { placed.setLogAppendTime(now.wall) }
        }
        let base = placed.baseOffset
        if batches.rest.isEmpty {
            try writeOne(records, original: first, placed: placed, now: now)
        } else {
            try writeSeveral(records, batches, origin: origin, epoch: leaderEpoch, now: now)
        }
        if unflushedSince == nil { unflushedSince = now.instant }
        return .appended(
            AppendOutcome.Appended(
                baseOffset: base, lastOffset: Offset(endOffset.rawValue - 1),
                logAppendTime: configuration.timestampType == .logAppend ? now.wall : nil,
                logStartOffset: startOffset))
    }

    /// The batches of one append: nearly always one, which then costs no array.
    struct Batches {
        var first: LocatedBatch
        var rest: [LocatedBatch] = []
        var bytes: Int64
        /// Offsets are missing before one of them.
        var isSparse = false
    }

    /// Far beyond what a log reaches, and far enough from the end of 64 bits for any append.
    private static let maximumEndOffset = Int64.max >> 1

    private func validate(
        _ records: ByteBuffer, origin: AppendOrigin, now: Now
    ) throws(AppendError) -> Batches {
        let strictness: RecordBatchStrictness = origin == .client ? .client : .checksum
        var cursor = RecordBatchCursor(records, strictness: strictness)
        var found: Batches?
        var expected = endOffset
        var isSparse = false
        while let batch = try Self.next(&cursor) {
            if origin == .replica {
                guard batch.header.baseOffset >= expected else {
                    throw .invalidRecord(
                        .offsetGap(expected: expected, actual: batch.header.baseOffset))
                }
                isSparse = isSparse || batch.header.baseOffset > expected
                expected = batch.header.lastOffset.advanced(by: 1)
            } else {
                try check(batch, in: records, now: now)
            }
            if found == nil {
                found = Batches(first: batch, bytes: Int64(records.readableBytes))
            } else {
                found?.rest.append(batch)
            }
        }
        guard var found else { throw .invalidRecord(.empty) }
        found.isSparse = isSparse
        // Only damaged files lead here: the offsets of one append must not overflow.
        guard endOffset.rawValue < Self.maximumEndOffset else {
            throw .invalidRecord(.inconsistent(.baseOffset))
        }
        if origin == .client, !found.rest.isEmpty,
            found.first.header.hasProducer || found.rest.contains(where: \.header.hasProducer)
        {
            throw .invalidRecord(.severalBatches)
        }
        return found
    }

    private static func next(
        _ cursor: inout RecordBatchCursor
    ) throws(AppendError) -> LocatedBatch? {
        do throws(RecordBatchError) {
            return try cursor.next()
        } catch {
            throw AppendError(error)
        }
    }

    /// Length, attributes, two deltas, two lengths and a count: a record without key and value.
    private static let minimumRecordBytes = 7

    private func check(
        _ batch: LocatedBatch, in records: ByteBuffer, now: Now
    ) throws(AppendError) {
        let header = batch.header
        guard header.totalBytes <= configuration.maxMessageBytes else {
            throw .recordTooLarge(bytes: header.totalBytes, limit: configuration.maxMessageBytes)
        }
        // A header that claims more records than its bytes can hold would send consumers past the
        // log's end. What is compressed is believed: unfolding each batch is not worth the price.
        guard
            header.codec != Codec.none
                || Int(header.recordCount) <= batch.recordsLength / Self.minimumRecordBytes
        else { throw .invalidRecord(.inconsistent(.recordCount)) }
        if configuration.timestampType == .create {
            let time = header.maxTimestamp.milliseconds
            let wall = now.wall.milliseconds
            let (ahead, wraps) = time.subtractingReportingOverflow(wall)
            guard !wraps, ahead <= configuration.timestampAfterMaxMilliseconds, time >= -1 else {
                throw .invalidTimestamp
            }
            let (behind, wrapsBehind) = wall.subtractingReportingOverflow(
                header.baseTimestamp.milliseconds)
            guard !wrapsBehind, behind <= configuration.timestampBeforeMaxMilliseconds else {
                throw .invalidTimestamp
            }
        }
        if configuration.isCompacted, !header.isControl { try checkKeys(batch, in: records) }
    }

    private func judge(_ batches: Batches) throws(AppendError) -> ProducerTable.Verdict {
        guard batches.first.header.hasProducer, !batches.first.header.isControl else {
            return .next
        }
        return try producers.check(batches.first.header, configuration.rules)
    }

    /// Writes a single batch: its head patched in 16 bytes, or 61 where the broker dates it.
    private mutating func writeOne(
        _ records: ByteBuffer, original: RecordBatchHeader, placed: RecordBatchHeader, now: Now
    ) throws(AppendError) {
        var placed = placed
        head.clear()
        var patched = RecordBatchHeader.headSize
        if placed.attributes != original.attributes || placed.maxTimestamp != original.maxTimestamp
        {
            patched = RecordBatchHeader.size
            placed.checksum = Self.checksum(of: placed, records: records)
            placed.write(into: &head)
        } else {
            head.writeMultipleIntegers(
                placed.baseOffset.rawValue, placed.length, placed.leaderEpoch.rawValue)
        }
        var body = records
        body.moveReaderIndex(forwardBy: patched)
        guard records.readableBytes <= TailCache.maximumBatchBytes else {
            try write(head: head, body: body)
            tail.clear(log: number)
            note(placed, now: now)
            return
        }
        var copy = ByteBuffer()
        copy.reserveCapacity(records.readableBytes)
        copy.writeImmutableBuffer(head)
        copy.writeImmutableBuffer(body)
        try write(head: copy, body: ByteBuffer())
        tail.append(
            log: number, baseOffset: placed.baseOffset, lastOffset: placed.lastOffset, batch: copy)
        note(placed, now: now)
    }

    /// Writes several batches at once. A replica's go as they are; a client's are copied, since
    /// each has a head to patch, which no known client ever asks for.
    private mutating func writeSeveral(
        _ records: ByteBuffer, _ batches: Batches, origin: AppendOrigin, epoch: LeaderEpoch,
        now: Now
    ) throws(AppendError) {
        var placed: [RecordBatchHeader] = []
        var next = endOffset
        var content = records
        if origin != .replica { content = ByteBuffer(buffer: records) }
        for batch in [batches.first] + batches.rest {
            var header = batch.header
            if origin != .replica {
                header.baseOffset = next
                header.leaderEpoch = epoch
                if configuration.timestampType == .logAppend {
                    header.setLogAppendTime(now.wall)
                    let slice = records.getSlice(at: batch.start, length: header.totalBytes)
                    header.checksum = Self.checksum(of: header, records: slice ?? ByteBuffer())
                }
                var bytes = ByteBuffer()
                header.write(into: &bytes)
                content.setBuffer(
                    bytes, at: content.readerIndex + batch.start - records.readerIndex)
            }
            next = header.lastOffset.advanced(by: 1)
            placed.append(header)
        }
        try write(head: content, body: ByteBuffer())
        tail.clear(log: number)
        for header in placed { note(header, now: now) }
    }

    /// The checksum of a batch whose header was changed.
    private static func checksum(of header: RecordBatchHeader, records: ByteBuffer) -> UInt32 {
        var bytes = ByteBuffer()
        header.write(into: &bytes)
        let crc = CRC32C.checksum(
            of: bytes, at: RecordBatchHeader.checksumStart,
            length: RecordBatchHeader.size - RecordBatchHeader.checksumStart)
        return CRC32C.checksum(
            of: records, at: records.readerIndex + RecordBatchHeader.size,
            length: records.readableBytes - RecordBatchHeader.size, continuing: crc)
    }

    /// Writes at the end of the active segment. What a failed write left behind is cut off, since
    /// recovery would take it for batches; if that fails too the log takes no more writes.
    private mutating func write(head: ByteBuffer, body: ByteBuffer) throws(AppendError) {
        do throws(DiskError) {
            let file = try file(of: active.baseOffset, .create)
            do throws(DiskError) {
                try file.write(at: active.size, head: head, body: body)
            } catch {
                do throws(DiskError) {
                    try file.truncate(to: active.size)
                } catch let second {
                    refusal = .writeFailed(second)
                }
                throw error
            }
        } catch {
            producers.refusesLateStarts = true
            throw .storage(error)
        }
    }

    /// Takes a written batch into the log's state.
    private mutating func note(_ header: RecordBatchHeader, now: Now) {
        active.note(header)
        active.lastAppend = now.wall
        epochs.assign(header.leaderEpoch, at: header.baseOffset)
        producers.note(header, seen: now.wall)
    }
}
