import DequeModule
import HeapModule
import Model
import NIOCore
import Replication
import Storage

/// How a shard sends what it leads to the brokers that back it up.
extension Shard {
    /// Bytes of one append message: large enough that its head costs nothing, small enough that the
    /// next partition's turn comes soon.
    private static let appendBytes = 256 * 1024

    /// How long a watermark may wait for records that carry it: far below what a consumer at a
    /// follower would notice, and long enough to spare a message for each batch.
    private static let progressDelayMilliseconds: Int64 = 5

    /// Takes what a follower sent.
    mutating func hear(
        fromFollower message: ReplicationMessage, _ from: NodeID, into effects: inout [Effect]
    ) {
        switch message {
        case .attach(let id, let request): attach(id, request, from, into: &effects)
        case .acknowledged(let replica, let ends):
            guard replica.node == from else { return }
            for entry in ends { acknowledged(entry, replica, into: &effects) }
        case .trimmed(let replica, let starts):
            guard replica.node == from else { return }
            for entry in starts { trimmed(entry, replica, into: &effects) }
        case .detach(let id, let epoch):
            guard let slot = openSlot(id), partitions[slot].machine.leadership?.epoch == epoch
            else { return }
            dropStreams(slot) { $0 == from }
            drive(slot, .followerLost(from), into: &effects)
        default: return
        }
    }

    private mutating func attach(
        _ id: TopicPartition, _ request: AttachRequest, _ from: NodeID,
        into effects: inout [Effect]
    ) {
        guard request.replica.node == from else { return }
        func refuse(_ reason: AttachRefusal) {
            effects.append(.send(from, .refused(id, request.session, reason)))
        }
        guard partitions.index(of: id) != nil else { return refuse(.unknownPartition) }
        guard let slot = openSlot(id), let epoch = partitions[slot].machine.leadership?.epoch,
            let state = partitions[slot].machine.state
        else { return refuse(.notLeader) }
        guard request.leaderEpoch == epoch else {
            return refuse(request.leaderEpoch < epoch ? .fencedEpoch : .notLeader)
        }
        guard state.replicas.contains(from) else { return refuse(.notReplica) }
        // What comes late, or twice, must not end the stream that the follower waits for.
        if let held = partitions[slot].streams.first(where: { $0.replica.node == from }),
            !held.isReplaced(by: request)
        {
            return
        }
        let log = partitions[slot].log
        let found = log.endOffset(for: request.lastEpoch).map {
            (epoch: $0.epoch, end: $0.endOffset)
        }
        let agreement = FollowerStream.answer(
            request, logStart: log.startOffset, logEnd: log.endOffset, found: found)
        effects.append(
            .send(from, .attached(id, request.session, agreement, progress(slot))))
        dropStreams(slot) { $0 == from }
        guard case .agreed = agreement else { return }
        partitions[slot].streams.append(FollowerStream(request))
        streaming.append(slot)
        drive(
            slot, .followerAttached(request.replica, epoch, end: request.vouchedEnd),
            into: &effects)
    }

    private mutating func acknowledged(
        _ entry: AcknowledgedEnd, _ replica: ReplicaID, into effects: inout [Effect]
    ) {
        guard let slot = openSlot(entry.partition),
            let place = partitions[slot].streams.firstIndex(where: { $0.replica == replica }),
            partitions[slot].streams[place].leaderEpoch == entry.leaderEpoch
        else { return }
        let before = partitions[slot].streams[place].bytesInFlight
        partitions[slot].streams[place].acknowledge(entry.end)
        freed(before - partitions[slot].streams[place].bytesInFlight, of: replica.node)
        drive(slot, .followerAcked(replica, entry.leaderEpoch, end: entry.end), into: &effects)
        // More credit, where there is more to send.
        if partitions[slot].streams[place].next < partitions[slot].log.endOffset {
            streaming.append(slot)
        }
    }

    /// A follower has room again: what waited for it goes on at the end of the turn.
    private mutating func freed(_ bytes: Int, of node: NodeID) {
        guard bytes > 0 else { return }
        inFlight[node, default: 0] -= bytes
        if starved[node] != nil, !eased.contains(node) { eased.append(node) }
    }

    /// Sends no more to these followers; what is on its way counts for nothing.
    mutating func dropStreams(_ slot: Int, where isGone: (NodeID) -> Bool = { _ in true }) {
        for stream in partitions[slot].streams where isGone(stream.replica.node) {
            freed(stream.bytesInFlight, of: stream.replica.node)
        }
        partitions[slot].streams.removeAll { isGone($0.replica.node) }
    }

    private func progress(_ slot: Int) -> LeaderProgress {
        LeaderProgress(
            highWatermark: partitions[slot].machine.highWatermark,
            logStart: partitions[slot].log.startOffset)
    }

    /// At the end of a turn: everything appended in it goes to each follower in one message.
    mutating func sendToFollowers(into effects: inout [Effect]) {
        for node in eased { sendWhatWaits(for: node, into: &effects) }
        eased.removeAll(keepingCapacity: true)
        for slot in streaming where partitions.isOccupied(slot) && partitions[slot].isOpen {
            pumpAll(slot, into: &effects)
        }
        streaming.removeAll(keepingCapacity: true)
    }

    mutating func pumpAll(_ slot: Int, into effects: inout [Effect]) {
        for place in partitions[slot].streams.indices { pump(slot, place, into: &effects) }
    }

    /// In the order in which they began to wait, and no more than there is room for: the others
    /// cost nothing.
    private mutating func sendWhatWaits(for node: NodeID, into effects: inout [Effect]) {
        while inFlight[node, default: 0] < followerBytes {
            guard let slot = starved[node]?.popFirst() else {
                starved[node] = nil
                return
            }
            guard partitions.isOccupied(slot), partitions[slot].isOpen,
                let place = partitions[slot].streams.firstIndex(where: {
                    $0.replica.node == node && $0.isInLine
                })
            else { continue }
            partitions[slot].streams[place].isInLine = false
            pump(slot, place, into: &effects)
        }
    }

    private mutating func pump(_ slot: Int, _ place: Int, into effects: inout [Effect]) {
        let end = partitions[slot].log.endOffset
        let node = partitions[slot].streams[place].replica.node
        guard inFlight[node, default: 0] < followerBytes else {
            if partitions[slot].streams[place].next < end,
                !partitions[slot].streams[place].isInLine
            {
                partitions[slot].streams[place].isInLine = true
                starved[node, default: []].append(slot)
            }
            return
        }
        while true {
            guard !isThrottled(slot, place),
                let send = partitions[slot].streams[place].read(logEnd: end, hotFrom: .zero)
            else { return }
            let piece: LogRead
            do throws(ReadError) {
                piece = try partitions[slot].log.read(
                    from: send.from, below: end, maxBytes: min(send.maxBytes, Self.appendBytes),
                    atLeastOne: true)
            } catch {
                partitions[slot].streams[place].readFailed()
                noteUnreadable(slot, error, into: &effects)
                return
            }
            switch piece {
            case .empty: return partitions[slot].streams[place].readFailed()
            case .memory(let bytes):
                self.send(bytes, from: send.from, slot, place, into: &effects)
            case .file(let slice):
                let stream = partitions[slot].streams[place]
                let read = ReplicaRead(
                    partition: partitions[slot].id, follower: stream.replica.node,
                    session: stream.session, from: send.from, slice: slice)
                return effects.append(.run(.read(read)))
            }
        }
    }

    /// Whether a copy that is not in sync has to wait for the next tick.
    private mutating func isThrottled(_ slot: Int, _ place: Int) -> Bool {
        guard catchUpCredit <= 0, isCatchingUp(slot, place) else { return false }
        if !partitions[slot].isThrottled,
            partitions[slot].streams[place].next < partitions[slot].log.endOffset
        {
            partitions[slot].isThrottled = true
            throttled.append(slot)
        }
        return true
    }

    /// Costs a look at the few members of the set.
    private func isCatchingUp(_ slot: Int, _ place: Int) -> Bool {
        guard let state = partitions[slot].machine.state else { return false }
        return !state.inSync.contains(partitions[slot].streams[place].replica)
    }

    /// A tenth of a second has passed: copies that catch up may be sent more.
    mutating func refillCatchUp() {
        catchUpCredit = min(catchUpPerTick, catchUpCredit + catchUpPerTick)
        guard !throttled.isEmpty else { return }
        for slot in throttled where partitions.isOccupied(slot) {
            partitions[slot].isThrottled = false
            streaming.append(slot)
        }
        throttled.removeAll(keepingCapacity: true)
    }

    /// What was read from the disk off the loop goes out, if its follower is still there.
    mutating func readEnded(
        _ read: ReplicaRead, _ result: Result<ByteBuffer, ReadError>, into effects: inout [Effect]
    ) {
        guard let slot = openSlot(read.partition),
            let place = partitions[slot].streams.firstIndex(where: {
                $0.replica.node == read.follower && $0.session == read.session
                    && $0.awaits(read.from)
            })
        else { return }
        switch result {
        case .success(let bytes):
            send(bytes, from: read.from, slot, place, into: &effects)
            streaming.append(slot)
        case .failure(let error):
            partitions[slot].streams[place].readFailed()
            noteUnreadable(slot, error, into: &effects)
        }
    }

    /// A consumer, or a copy, could not be given what it asked for. They ask again and again, so
    /// each damaged place is told of once.
    mutating func noteUnreadable(_ slot: Int, _ error: ReadError, into effects: inout [Effect]) {
        switch error {
        case .outOfRange: return
        case .storage(let failure):
            effects.append(
                .notice(.maintenanceFailed(partitions[slot].id, "reading: \(failure.words)")))
        case .corrupt(let segment, let position):
            guard
                partitions[slot].unreadable?.segment != segment
                    || partitions[slot].unreadable?.position != position
            else { return }
            partitions[slot].unreadable = (segment, position)
            effects.append(
                .notice(.unreadable(partitions[slot].id, segment: segment, position: position)))
        }
    }

    private mutating func send(
        _ bytes: ByteBuffer, from: Offset, _ slot: Int, _ place: Int, into effects: inout [Effect]
    ) {
        guard let (end, length) = Self.whole(bytes),
            let records = bytes.getSlice(at: bytes.readerIndex, length: length)
        else { return partitions[slot].streams[place].readFailed() }
        let progress = progress(slot)
        let stream = partitions[slot].streams[place]
        effects.append(
            .send(
                stream.replica.node,
                .append(
                    AppendMessage(
                        partition: partitions[slot].id, session: stream.session,
                        leaderEpoch: stream.leaderEpoch, base: from, progress: progress,
                        records: records))))
        inFlight[stream.replica.node, default: 0] += length
        if isCatchingUp(slot, place) { catchUpCredit -= length }
        partitions[slot].streams[place].sent(
            through: end, bytes: length, highWatermark: progress.highWatermark,
            logStart: progress.logStart)
    }

    /// Where the whole batches end, as an offset and in bytes: a piece that was read from a file
    /// may end within a batch. Costs a look at each header.
    private static func whole(_ bytes: ByteBuffer) -> (end: Offset, length: Int)? {
        var cursor = RecordBatchCursor(bytes, strictness: .structure)
        var last: Offset?
        while let batch = try? cursor.next() { last = batch.header.lastOffset }
        return last.map { ($0.advanced(by: 1), cursor.position - bytes.readerIndex) }
    }

    /// Watermarks or log starts moved: followers hear of it with the next records, or soon.
    mutating func scheduleProgress(now: Instant) {
        guard !moved.isEmpty, progressDue == nil else { return }
        let due = now.advanced(byMilliseconds: Self.progressDelayMilliseconds)
        progressDue = due
        deadlines.insert(Deadline(at: due, serial: 0, kind: .progress))
    }

    /// Tells each follower, in one message, what no records told it.
    mutating func tellProgress(into effects: inout [Effect]) {
        progressDue = nil
        var followers: [(node: NodeID, entries: [ProgressEntry])] = []
        for slot in moved where partitions.isOccupied(slot) && partitions[slot].isOpen {
            let now = progress(slot)
            for place in partitions[slot].streams.indices {
                let isNews = partitions[slot].streams[place].tell(
                    highWatermark: now.highWatermark, logStart: now.logStart)
                guard isNews else { continue }
                let stream = partitions[slot].streams[place]
                let entry = ProgressEntry(
                    partition: partitions[slot].id, session: stream.session, progress: now)
                let node = stream.replica.node
                if let at = followers.firstIndex(where: { $0.node == node }) {
                    followers[at].entries.append(entry)
                } else {
                    followers.append((node, [entry]))
                }
            }
        }
        moved.removeAll(keepingCapacity: true)
        for (node, entries) in followers {
            let step = ReplicationLimits.entriesPerMessage
            for start in stride(from: 0, to: entries.count, by: step) {
                let end = min(entries.count, start + step)
                effects.append(.send(node, .progress(Array(entries[start..<end]))))
            }
        }
    }
}
