internal import Model
internal import NIOCore

/// Which digest tree a message of the exchange is about.
enum TreeKind: UInt8, Hashable {
    case table = 0
    case members = 1
}

/// What one member knows of another, with the signed statements that it rests on.
///
///     0        status: 0 alive or suspect, 1 dead, 2 left
///     1        length, UInt16, and the self-record
///     ..       count, UInt8, and accusations
struct MemberState: Hashable {
    /// What a reader does with the member: a dead one is only suspected until it was heard out.
    enum Status: UInt8, Hashable {
        case present = 0
        case dead = 1
        case left = 2
    }

    let status: Status
    let record: SelfRecord
    let evidence: [Accusation]

    init(status: Status, record: SelfRecord, evidence: [Accusation]) {
        self.status = status
        self.record = record
        self.evidence = evidence
    }

    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        guard let status = Status(rawValue: try bytes.take(UInt8.self)) else {
            throw .invalidValue
        }
        self.status = status
        let length = Int(try bytes.take(UInt16.self))
        record = try SelfRecord(decoding: try bytes.takeBytes(length))
        let count = Int(try bytes.take(UInt8.self))
        guard count <= GossipLimits.evidencePerMember else { throw .overLimit }
        var evidence: [Accusation] = []
        for _ in 0..<count { evidence.append(try Accusation(decoding: &bytes)) }
        self.evidence = evidence
    }

    func write(into bytes: inout ByteBuffer) {
        bytes.writeMultipleIntegers(status.rawValue, UInt16(record.encoded.readableBytes))
        bytes.writeImmutableBuffer(record.encoded)
        let sent = evidence.prefix(GossipLimits.evidencePerMember)
        bytes.writeInteger(UInt8(sent.count))
        for accusation in sent { accusation.write(into: &bytes) }
    }
}

/// A message over a link: ordered, authenticated, up to 4 MiB.
///
///     0        version, 1
///     1        kind
///     2        1 packet: a whole packet; pings and acks too, when datagrams do not pass
///              2 hello: roots, then the sender's member state, then accusations of the reader
///              3 branches: tree, 32 hashes
///              4 leaves: tree, mask of branches UInt32, 32 hashes for each branch in it
///              5 entries: leaf count, leaves UInt16, entry count UInt32, adverts
///              6 members: leaf count, leaves UInt16, answer wanted, count UInt32, member states
///              7 want: count UInt16, key texts
///              8 values: count UInt32, chosen values
///              9 doubt: count UInt16, key texts
///              10 marks of feeds: answer wanted, count UInt16, marks
///              11 pull: count UInt16, and of each a feed and the version that the reader has
///              12 delta of a feed
enum LinkMessage {
    case packet(Packet)
    case hello(Roots, MemberState, accusations: [Accusation])
    case branches(TreeKind, [UInt64])
    case leaves(TreeKind, mask: UInt32, [UInt64])
    case entries(leaves: [UInt16], [Advert])
    case members(leaves: [UInt16], wantsAnswer: Bool, [MemberState])
    case want([String])
    case values([ChosenValue])
    case doubt([String])
    case marks([FeedMark], wantsAnswer: Bool)
    case pull([FeedPull])
    case delta(FeedDelta)

    init(decoding bytes: ByteBuffer) throws(GossipDecodeError) {
        guard bytes.readableBytes <= GossipLimits.messageBytes else { throw .overLimit }
        var bytes = bytes
        let version = try bytes.take(UInt8.self)
        guard version == 1 else { throw .unsupportedVersion(version) }
        let code = try bytes.take(UInt8.self)
        switch code {
        case 1:
            self = .packet(try Packet(decoding: bytes))
            return
        case 2:
            let roots = try Roots(decoding: &bytes)
            let state = try MemberState(decoding: &bytes)
            let count = Int(try bytes.take(UInt8.self))
            guard count <= GossipLimits.evidencePerMember else { throw .overLimit }
            self = .hello(
                roots, state,
                accusations: try Self.list(count, &bytes) { bytes throws(GossipDecodeError) in
                    try Accusation(decoding: &bytes)
                })
        case 3:
            let tree = try Self.tree(&bytes)
            self = .branches(tree, try Self.hashes(GossipLimits.digestBranches, &bytes))
        case 4:
            let tree = try Self.tree(&bytes)
            let mask = try bytes.take(UInt32.self)
            let count = mask.nonzeroBitCount * GossipLimits.digestBranches
            self = .leaves(tree, mask: mask, try Self.hashes(count, &bytes))
        case 5, 6: self = try Self.listing(code, &bytes)
        case 7, 9:
            let keys = try Self.list(Int(try bytes.take(UInt16.self)), &bytes) {
                bytes throws(GossipDecodeError) in
                try bytes.takeText(maximum: ChosenValue.keyBytesMaximum)
            }
            self = code == 7 ? .want(keys) : .doubt(keys)
        case 8:
            self = .values(
                try Self.list(Int(try bytes.take(UInt32.self)), &bytes) {
                    bytes throws(GossipDecodeError) in
                    try ChosenValue(decoding: &bytes)
                })
        case 10, 11: self = try Self.feeds(code, &bytes)
        case 12: self = .delta(try FeedDelta(decoding: &bytes))
        default: throw .unknownKind(code)
        }
        try bytes.finish()
    }

    private static func feeds(
        _ code: UInt8, _ bytes: inout ByteBuffer
    ) throws(GossipDecodeError) -> LinkMessage {
        let wantsAnswer = code == 10 ? try bytes.take(UInt8.self) != 0 : false
        let count = Int(try bytes.take(UInt16.self))
        guard count <= GossipLimits.feedsPerMessage else { throw .overLimit }
        guard code == 10 else {
            return .pull(
                try list(count, &bytes) { bytes throws(GossipDecodeError) in
                    FeedPull(feed: try bytes.takeFeedID(), since: try bytes.takeFeedVersion())
                })
        }
        let marks = try list(count, &bytes) { bytes throws(GossipDecodeError) in
            try FeedMark(decoding: &bytes)
        }
        return .marks(marks, wantsAnswer: wantsAnswer)
    }

    private static func tree(_ bytes: inout ByteBuffer) throws(GossipDecodeError) -> TreeKind {
        guard let tree = TreeKind(rawValue: try bytes.take(UInt8.self)) else {
            throw .invalidValue
        }
        return tree
    }

    private static func listing(
        _ code: UInt8, _ bytes: inout ByteBuffer
    ) throws(GossipDecodeError) -> LinkMessage {
        let leafCount = Int(try bytes.take(UInt16.self))
        guard leafCount <= GossipLimits.digestLeaves else { throw .overLimit }
        let leaves = try list(leafCount, &bytes) { bytes throws(GossipDecodeError) in
            let leaf = try bytes.take(UInt16.self)
            guard Int(leaf) < GossipLimits.digestLeaves else { throw .invalidValue }
            return leaf
        }
        if code == 5 {
            let count = Int(try bytes.take(UInt32.self))
            let adverts = try list(count, &bytes) { bytes throws(GossipDecodeError) in
                try Advert(decoding: &bytes)
            }
            return .entries(leaves: leaves, adverts)
        }
        let wantsAnswer = try bytes.take(UInt8.self) != 0
        let count = Int(try bytes.take(UInt32.self))
        let states = try list(count, &bytes) { bytes throws(GossipDecodeError) in
            try MemberState(decoding: &bytes)
        }
        return .members(leaves: leaves, wantsAnswer: wantsAnswer, states)
    }

    /// Reads one by one without trusting `count` for an allocation: each element takes bytes.
    private static func list<Element>(
        _ count: Int, _ bytes: inout ByteBuffer,
        _ element: (inout ByteBuffer) throws(GossipDecodeError) -> Element
    ) throws(GossipDecodeError) -> [Element] {
        guard count <= bytes.readableBytes else { throw .truncated }
        var elements: [Element] = []
        elements.reserveCapacity(min(count, 4_096))
        for _ in 0..<count { elements.append(try element(&bytes)) }
        return elements
    }

    private static func hashes(
        _ count: Int, _ bytes: inout ByteBuffer
    ) throws(GossipDecodeError) -> [UInt64] {
        try list(count, &bytes) { bytes throws(GossipDecodeError) in
            try bytes.take(UInt64.self)
        }
    }
}
