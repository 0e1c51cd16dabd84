import Model
import NIOCore

/// Writes the fields of replication messages one after the other.
struct ReplicationWriter {
    var buffer: ByteBuffer

    mutating func write(_ value: some FixedWidthInteger) { buffer.writeInteger(value) }

    mutating func write(_ partition: TopicPartition) {
        buffer.writeMultipleIntegers(
            partition.topic.high, partition.topic.low, partition.index.rawValue)
    }

    mutating func write(_ topic: TopicID) {
        buffer.writeMultipleIntegers(topic.high, topic.low)
    }

    mutating func write(_ name: String) {
        buffer.writeInteger(UInt16(name.utf8.count))
        buffer.writeString(name)
    }

    mutating func write(_ progress: LeaderProgress) {
        buffer.writeMultipleIntegers(
            progress.highWatermark.rawValue, progress.logStart.rawValue)
    }

    mutating func write(_ partition: TopicPartition, _ request: AttachRequest) {
        write(partition)
        buffer.writeMultipleIntegers(request.session.rawValue, request.leaderEpoch.rawValue)
        request.replica.encode(into: &buffer)
        buffer.writeMultipleIntegers(
            request.lastEpoch.rawValue, request.end.rawValue, request.vouchedEnd.rawValue,
            request.logStart.rawValue)
    }

    mutating func write(_ agreement: LogAgreement) {
        switch agreement {
        case .agreed(let from):
            buffer.writeMultipleIntegers(1 as UInt8, LeaderEpoch.unknown.rawValue, from.rawValue)
        case .truncate(let epoch, let end):
            buffer.writeMultipleIntegers(2 as UInt8, epoch.rawValue, end.rawValue)
        case .startOver(let at):
            buffer.writeMultipleIntegers(3 as UInt8, LeaderEpoch.unknown.rawValue, at.rawValue)
        }
    }

    mutating func write(_ message: AppendMessage) {
        write(message.partition)
        buffer.writeMultipleIntegers(
            message.session.rawValue, message.leaderEpoch.rawValue, message.base.rawValue)
        write(message.progress)
        let length = message.records.readableBytes
        precondition(length <= ReplicationLimits.appendBytesMaximum, "reads are bounded")
        buffer.writeInteger(UInt32(length))
    }

    mutating func write(_ serial: UInt64, _ answer: LeaseAnswer) {
        buffer.writeInteger(serial)
        switch answer {
        case .granted(let mark):
            buffer.writeMultipleIntegers(0 as UInt8, mark.life.rawValue, mark.depositions)
        case .outdated: buffer.writeMultipleIntegers(1 as UInt8, 0 as UInt64, 0 as UInt32)
        case .full: buffer.writeMultipleIntegers(2 as UInt8, 0 as UInt64, 0 as UInt32)
        }
    }

    mutating func write<Element>(
        _ list: [Element], _ element: (inout ReplicationWriter, Element) -> Void
    ) {
        precondition(list.count <= ReplicationLimits.entriesPerMessage, "the shell splits lists")
        buffer.writeInteger(UInt16(list.count))
        for entry in list { element(&self, entry) }
    }
}

/// Reads them, and never beyond the end; a field with a value that nobody writes is refused.
struct ReplicationReader {
    var buffer: ByteBuffer

    mutating func integer<I: FixedWidthInteger>(
        _ type: I.Type = I.self
    ) throws(ReplicationCodecError) -> I {
        guard let value = buffer.readInteger(as: type) else { throw .truncated }
        return value
    }

    mutating func partition() throws(ReplicationCodecError) -> TopicPartition {
        let topic = TopicID(high: try integer(), low: try integer())
        let index = try integer(Int32.self)
        guard index >= 0 else { throw .outOfRange("partition \(index)") }
        return TopicPartition(topic: topic, index: PartitionIndex(index))
    }

    mutating func topic() throws(ReplicationCodecError) -> TopicID {
        TopicID(high: try integer(), low: try integer())
    }

    /// The name of a topic: 1 to 249 bytes of UTF-8, as Kafka bounds it.
    mutating func name() throws(ReplicationCodecError) -> String {
        let length = Int(try integer(UInt16.self))
        guard length <= 249 else { throw .tooLong(length, maximum: 249) }
        guard let slice = buffer.readSlice(length: length) else { throw .truncated }
        guard length > 0, let name = String(validating: slice.readableBytesView, as: UTF8.self)
        else { throw .outOfRange("a name of \(length) bytes") }
        return name
    }

    mutating func session() throws(ReplicationCodecError) -> AttachSession {
        AttachSession(try integer())
    }

    /// A real epoch, or unknown where that is allowed.
    mutating func epoch(orUnknown: Bool = false) throws(ReplicationCodecError) -> LeaderEpoch {
        let epoch = try integer(Int32.self)
        guard epoch >= (orUnknown ? -1 : 0) else { throw .outOfRange("epoch \(epoch)") }
        return LeaderEpoch(epoch)
    }

    mutating func offset() throws(ReplicationCodecError) -> Offset {
        let offset = try integer(Int64.self)
        guard offset >= 0 else { throw .outOfRange("offset \(offset)") }
        return Offset(offset)
    }

    mutating func node() throws(ReplicationCodecError) -> NodeID {
        let node = try integer(Int32.self)
        guard node >= 0 else { throw .outOfRange("node \(node)") }
        return NodeID(node)
    }

    mutating func replica() throws(ReplicationCodecError) -> ReplicaID {
        guard let id = ReplicaID(from: &buffer) else { throw .truncated }
        guard id.node.rawValue >= 0 else { throw .outOfRange("node \(id.node.rawValue)") }
        return id
    }

    mutating func progress() throws(ReplicationCodecError) -> LeaderProgress {
        LeaderProgress(highWatermark: try offset(), logStart: try offset())
    }

    mutating func request() throws(ReplicationCodecError) -> AttachRequest {
        let request = AttachRequest(
            session: try session(), leaderEpoch: try epoch(), replica: try replica(),
            lastEpoch: try epoch(orUnknown: true), end: try offset(), vouchedEnd: try offset(),
            logStart: try offset())
        guard request.logStart <= request.end, request.vouchedEnd <= request.end else {
            throw .outOfRange("a log that ends before it begins")
        }
        return request
    }

    mutating func agreement() throws(ReplicationCodecError) -> LogAgreement {
        let verdict = try integer(UInt8.self)
        let epoch = try epoch(orUnknown: true)
        let offset = try offset()
        if verdict != 2, epoch != .unknown { throw .outOfRange("an epoch nobody asked for") }
        switch verdict {
        case 1: return .agreed(from: offset)
        case 2: return .truncate(epoch: epoch, end: offset)
        case 3: return .startOver(at: offset)
        default: throw .outOfRange("verdict \(verdict)")
        }
    }

    mutating func refusal() throws(ReplicationCodecError) -> AttachRefusal {
        let reason = try integer(UInt8.self)
        guard let refusal = AttachRefusal(rawValue: reason) else {
            throw .outOfRange("reason \(reason)")
        }
        return refusal
    }

    mutating func append() throws(ReplicationCodecError) -> AppendMessage {
        let partition = try partition()
        let session = try session()
        let epoch = try epoch()
        let base = try offset()
        let progress = try progress()
        let length = Int(try integer(UInt32.self))
        let maximum = ReplicationLimits.appendBytesMaximum
        guard length <= maximum else { throw .tooLong(length, maximum: maximum) }
        guard let records = buffer.readSlice(length: length) else { throw .truncated }
        return AppendMessage(
            partition: partition, session: session, leaderEpoch: epoch, base: base,
            progress: progress, records: records)
    }

    mutating func leaseAnswer() throws(ReplicationCodecError) -> LeaseAnswer {
        let answer = try integer(UInt8.self)
        let mark = LeaseMark(
            life: BootEpoch(try integer()), depositions: try integer())
        switch answer {
        case 0: return .granted(mark)
        case 1 where mark == LeaseMark(life: BootEpoch(0), depositions: 0): return .outdated
        case 2 where mark == LeaseMark(life: BootEpoch(0), depositions: 0): return .full
        default: throw .outOfRange("answer \(answer)")
        }
    }

    /// Space is reserved for what the bytes can hold, not for what they claim.
    mutating func list<Element>(
        _ element: (inout ReplicationReader) throws(ReplicationCodecError) -> Element
    ) throws(ReplicationCodecError) -> [Element] {
        let count = Int(try integer(UInt16.self))
        let maximum = ReplicationLimits.entriesPerMessage
        guard count <= maximum else { throw .tooLong(count, maximum: maximum) }
        var list: [Element] = []
        list.reserveCapacity(min(count, buffer.readableBytes / 16))
        for _ in 0..<count { list.append(try element(&self)) }
        return list
    }
}
