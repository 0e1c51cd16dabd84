import Model
public import NIOCore

extension ReplicationMessage {
    /// The largest message: records and what comes before them.
    public static let bytesMaximum = ReplicationLimits.appendBytesMaximum + 128
    private static let version: UInt8 = 1

    /// The message as bytes; the records of an append are copied. `head(into:)` spares that.
    public func encode(into buffer: inout ByteBuffer) {
        head(into: &buffer)
        if case .append(let message) = self { buffer.writeImmutableBuffer(message.records) }
    }

    /// Everything but the records of an append, which the shell writes right behind it.
    public func head(into buffer: inout ByteBuffer) {
        var wire = ReplicationWriter(buffer: buffer)
        wire.buffer.writeMultipleIntegers(Self.version, kind)
        switch self {
        case .attach(let partition, let request): wire.write(partition, request)
        case .attached(let partition, let session, let agreement, let progress):
            wire.write(partition)
            wire.write(session.rawValue)
            wire.write(agreement)
            wire.write(progress)
        case .refused(let partition, let session, let reason):
            wire.write(partition)
            wire.write(session.rawValue)
            wire.write(reason.rawValue)
        case .append(let message): wire.write(message)
        case .acknowledged(let replica, let ends):
            replica.encode(into: &wire.buffer)
            wire.write(ends) { wire, element in
                wire.write(element.partition)
                wire.write(element.leaderEpoch.rawValue)
                wire.write(element.end.rawValue)
            }
        case .progress(let entries):
            wire.write(entries) { wire, element in
                wire.write(element.partition)
                wire.write(element.session.rawValue)
                wire.write(element.progress)
            }
        case .detach(let partition, let epoch):
            wire.write(partition)
            wire.write(epoch.rawValue)
        case .recognise(let serial, let claims):
            wire.write(serial)
            wire.write(claims) { wire, element in
                wire.write(element.partition)
                wire.write(element.leaderEpoch.rawValue)
            }
        case .recognised(let serial, let replica, let declined):
            wire.write(serial)
            replica.encode(into: &wire.buffer)
            wire.write(declined) { wire, element in wire.write(element) }
        case .renewLease(let serial, let replica, let boot):
            wire.write(serial)
            replica.encode(into: &wire.buffer)
            wire.write(boot.rawValue)
        case .leaseAnswer(let serial, let answer): wire.write(serial, answer)
        case .releaseLease(let boot): wire.write(boot.rawValue)
        case .inquire(let partitions):
            wire.write(partitions) { wire, element in wire.write(element) }
        case .holdings(let replica, let holdings):
            replica.encode(into: &wire.buffer)
            wire.write(holdings) { wire, element in
                wire.write(element.partition)
                wire.write(element.lastEpoch.rawValue)
                wire.write(element.end.rawValue)
            }
        case .present: break
        case .giveWay(let wishes):
            wire.write(wishes) { wire, element in
                wire.write(element.partition)
                wire.write(element.node.rawValue)
            }
        case .stopTopics, .stoppedTopics, .trimmed: writeEnds(into: &wire)
        }
        buffer = wire.buffer
    }

    /// What is said of the ends of topics and of the beginnings of logs.
    private func writeEnds(into wire: inout ReplicationWriter) {
        switch self {
        case .stopTopics(let claims):
            wire.write(claims) { wire, element in
                wire.write(element.id)
                wire.write(element.name)
            }
        case .stoppedTopics(let topics):
            wire.write(topics) { wire, element in wire.write(element) }
        case .trimmed(let replica, let starts):
            replica.encode(into: &wire.buffer)
            wire.write(starts) { wire, element in
                wire.write(element.partition)
                wire.write(element.leaderEpoch.rawValue)
                wire.write(element.start.rawValue)
            }
        default: return
        }
    }

    private var kind: UInt8 {
        switch self {
        case .attach: 1
        case .attached: 2
        case .refused: 3
        case .append: 4
        case .acknowledged: 5
        case .progress: 6
        case .detach: 7
        case .recognise: 8
        case .recognised: 9
        case .renewLease: 10
        case .leaseAnswer: 11
        case .releaseLease: 12
        case .inquire: 13
        case .holdings: 14
        case .present: 15
        case .giveWay: 16
        case .stopTopics: 20
        case .stoppedTopics: 21
        case .trimmed: 22
        }
    }

    public init(decoding bytes: ByteBuffer) throws(ReplicationCodecError) {
        var wire = ReplicationReader(buffer: bytes)
        let version = try wire.integer(UInt8.self)
        guard version == Self.version else { throw .unknownVersion(version) }
        self = try Self.read(try wire.integer(), &wire)
        let rest = wire.buffer.readableBytes
        guard rest == 0 else { throw .trailingBytes(rest) }
    }

    private static func read(
        _ kind: UInt8, _ wire: inout ReplicationReader
    ) throws(ReplicationCodecError) -> ReplicationMessage {
        switch kind {
        case 1: return .attach(try wire.partition(), try wire.request())
        case 2:
            return .attached(
                try wire.partition(), try wire.session(), try wire.agreement(),
                try wire.progress())
        case 3: return .refused(try wire.partition(), try wire.session(), try wire.refusal())
        case 4: return .append(try wire.append())
        case 5:
            return .acknowledged(
                try wire.replica(),
                try wire.list { wire throws(ReplicationCodecError) in
                    AcknowledgedEnd(
                        partition: try wire.partition(), leaderEpoch: try wire.epoch(),
                        end: try wire.offset())
                })
        case 6:
            return .progress(
                try wire.list { wire throws(ReplicationCodecError) in
                    ProgressEntry(
                        partition: try wire.partition(), session: try wire.session(),
                        progress: try wire.progress())
                })
        case 13:
            return .inquire(
                try wire.list { wire throws(ReplicationCodecError) in try wire.partition() })
        case 14:
            return .holdings(
                try wire.replica(),
                try wire.list { wire throws(ReplicationCodecError) in
                    Holding(
                        partition: try wire.partition(),
                        lastEpoch: try wire.epoch(orUnknown: true), end: try wire.offset())
                })
        case 7: return .detach(try wire.partition(), try wire.epoch())
        case 8:
            return .recognise(
                try wire.integer(),
                try wire.list { wire throws(ReplicationCodecError) in
                    LeadershipClaim(
                        partition: try wire.partition(), leaderEpoch: try wire.epoch())
                })
        case 9:
            return .recognised(
                try wire.integer(), try wire.replica(),
                declined: try wire.list { wire throws(ReplicationCodecError) in
                    try wire.partition()
                })
        case 10:
            return .renewLease(
                try wire.integer(), try wire.replica(), BootEpoch(try wire.integer()))
        case 11: return .leaseAnswer(try wire.integer(), try wire.leaseAnswer())
        case 12: return .releaseLease(BootEpoch(try wire.integer()))
        case 15: return .present
        case 16:
            return .giveWay(
                try wire.list { wire throws(ReplicationCodecError) in
                    LeaderWish(partition: try wire.partition(), node: try wire.node())
                })
        case 20...22: return try readEnds(kind, &wire)
        default: throw .unknownKind(kind)
        }
    }

    private static func readEnds(
        _ kind: UInt8, _ wire: inout ReplicationReader
    ) throws(ReplicationCodecError) -> ReplicationMessage {
        switch kind {
        case 20:
            return .stopTopics(
                try wire.list { wire throws(ReplicationCodecError) in
                    TopicClaim(id: try wire.topic(), name: try wire.name())
                })
        case 21:
            return .stoppedTopics(
                try wire.list { wire throws(ReplicationCodecError) in try wire.topic() })
        case 22:
            return .trimmed(
                try wire.replica(),
                try wire.list { wire throws(ReplicationCodecError) in
                    TrimmedStart(
                        partition: try wire.partition(), leaderEpoch: try wire.epoch(),
                        start: try wire.offset())
                })
        default: throw .unknownKind(kind)
        }
    }
}
