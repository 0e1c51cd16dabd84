import Model
public import NIOCore

/// What acceptors answer, as bytes.
///
/// ```
/// +---------+------+------------+----------+------------------------------------+
/// | version | kind | generation | store    | by kind                            |
/// | u8 = 1  | u8   | u64        | 2 x u64  |                                    |
/// +---------+------+------------+----------+------------------------------------+
/// 1 prepared     ballot, floor, count u16, count x (0: conflict |
///                1: accepted ballot, value? | 2: overtaken: accepted ballot, value bytes)
/// 2 accepted     ballot, count u16, count x (0: conflict | 1 | 2: held ms i64)
/// 3 values       count u16, count x (max seen, accepted ballot, value?)
/// 4 adopted      generation u64
/// 5 floorRaised  ballot
/// 6 removed      count u16, count x u8
/// 7 refused      1: roster | 2: roster needed | 3: wrong store | 4: overloaded
///                5: full
/// 8 scanned      floor ballot, remaining u32, count u16, count x (key, as in values)
/// 9 installed
/// conflict: max seen, floor (two ballots);  value?: u8, then bytes where it is 1
/// ```
extension PaxosReply {
    public func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(ByteBuffer.paxosVersion)
        buffer.writeInteger(kind)
        buffer.writeInteger(generation.rawValue)
        buffer.writeStore(store)
        switch body {
        case .prepared(let ballot, let floor, let answers):
            buffer.writeBallot(ballot)
            buffer.writeBallot(floor)
            buffer.writeCount(answers.count)
            for answer in answers { answer.encode(into: &buffer) }
        case .accepted(let ballot, let answers):
            buffer.writeBallot(ballot)
            buffer.writeCount(answers.count)
            for answer in answers { answer.encode(into: &buffer) }
        case .values(let states):
            buffer.writeCount(states.count)
            for state in states { buffer.writeState(state) }
        case .adopted(let generation): buffer.writeInteger(generation.rawValue)
        case .floorRaised(let ballot): buffer.writeBallot(ballot)
        case .removed(let gone):
            buffer.writeCount(gone.count)
            for flag in gone { buffer.writeFlag(flag) }
        case .refused(let refusal): refusal.encode(into: &buffer)
        case .scanned(let floor, let remaining, let entries):
            buffer.writeBallot(floor)
            buffer.writeInteger(UInt32(clamping: remaining))
            buffer.writeEntries(entries)
        case .installed: break
        }
    }

    private var kind: UInt8 {
        switch body {
        case .prepared: 1
        case .accepted: 2
        case .values: 3
        case .adopted: 4
        case .floorRaised: 5
        case .removed: 6
        case .refused: 7
        case .scanned: 8
        case .installed: 9
        }
    }

    public init(decoding bytes: ByteBuffer) throws(PaxosCodecError) {
        var reader = PaxosReader(bytes)
        try reader.version()
        let kind = try reader.integer(UInt8.self)
        let generation = RosterGeneration(try reader.integer())
        let store = try reader.store()
        let body = try Self.body(kind, &reader)
        try reader.finish()
        self.init(generation: generation, store: store, body: body)
    }

    private static func body(
        _ kind: UInt8, _ reader: inout PaxosReader
    ) throws(PaxosCodecError) -> Body {
        switch kind {
        case 1:
            let ballot = try reader.ballot()
            let floor = try reader.ballot()
            return .prepared(
                ballot, floor: floor,
                try reader.answers { reader throws(PaxosCodecError) in
                    try reader.prepareAnswer()
                })
        case 2:
            let ballot = try reader.ballot()
            return .accepted(
                ballot,
                try reader.answers { reader throws(PaxosCodecError) in
                    try reader.acceptAnswer()
                })
        case 3:
            return .values(
                try reader.answers { reader throws(PaxosCodecError) in try reader.state() })
        case 4: return .adopted(RosterGeneration(try reader.integer()))
        case 5: return .floorRaised(try reader.ballot())
        case 6:
            return .removed(
                try reader.answers { reader throws(PaxosCodecError) in try reader.flag() })
        case 7: return .refused(try reader.refusal())
        case 8:
            let floor = try reader.ballot()
            let remaining = Int(try reader.integer(UInt32.self))
            return .scanned(floor: floor, remaining: remaining, try reader.entries())
        case 9: return .installed
        default: throw .unknownKind(kind)
        }
    }
}

extension PrepareAnswer {
    func encode(into buffer: inout ByteBuffer) {
        switch self {
        case .conflict(let conflict):
            buffer.writeFlag(false)
            conflict.encode(into: &buffer)
        case .promised(let ballot, let value):
            buffer.writeFlag(true)
            buffer.writeBallot(ballot)
            buffer.writeValue(value)
        case .overtaken(let ballot, let value):
            buffer.writeInteger(2 as UInt8)
            buffer.writeBallot(ballot)
            buffer.writeBytes32(value)
        }
    }
}

extension AcceptAnswer {
    func encode(into buffer: inout ByteBuffer) {
        switch self {
        case .conflict(let conflict):
            buffer.writeFlag(false)
            conflict.encode(into: &buffer)
        case .accepted: buffer.writeFlag(true)
        case .held(let milliseconds):
            buffer.writeInteger(2 as UInt8)
            buffer.writeInteger(milliseconds)
        }
    }
}

extension Conflict {
    func encode(into buffer: inout ByteBuffer) {
        buffer.writeBallot(maxSeen)
        buffer.writeBallot(floor)
    }
}

extension Refusal {
    func encode(into buffer: inout ByteBuffer) {
        switch self {
        case .staleRoster(let roster):
            buffer.writeInteger(1 as UInt8)
            roster.encode(into: &buffer)
        case .rosterNeeded: buffer.writeInteger(2 as UInt8)
        case .wrongStore: buffer.writeInteger(3 as UInt8)
        case .overloaded: buffer.writeInteger(4 as UInt8)
        case .full: buffer.writeInteger(5 as UInt8)
        }
    }
}

extension ByteBuffer {
    mutating func writeState(_ state: RegisterState) {
        writeBallot(state.maxSeen)
        writeBallot(state.acceptedBallot)
        writeValue(state.value)
    }

    mutating func writeEntries(_ entries: [RegisterEntry]) {
        writeCount(entries.count)
        for entry in entries {
            writeText(entry.key)
            writeState(entry.state)
        }
    }

    mutating func writeValue(_ value: ByteBuffer?) {
        writeFlag(value != nil)
        if let value { writeBytes32(value) }
    }
}

extension PaxosReader {
    mutating func state() throws(PaxosCodecError) -> RegisterState {
        let maxSeen = try ballot()
        let accepted = try ballot()
        return RegisterState(maxSeen: maxSeen, acceptedBallot: accepted, value: try value())
    }

    /// None, or some with keys in ascending order, no larger than one message.
    mutating func entries() throws(PaxosCodecError) -> [RegisterEntry] {
        let count = try count(atMost: Limits.registersPerMessage)
        var entries: [RegisterEntry] = []
        var total = 0
        for _ in 0..<count {
            let key = try key()
            if let last = entries.last, last.key >= key { throw .unordered }
            let state = try state()
            total += state.value?.readableBytes ?? 0
            guard total <= Limits.messageValueBytes else {
                throw .tooLong(total, maximum: Limits.messageValueBytes)
            }
            entries.append(RegisterEntry(key: key, state: state))
        }
        return entries
    }

    mutating func value() throws(PaxosCodecError) -> ByteBuffer? {
        try flag() ? try bytes(atMost: Limits.envelopeBytesMaximum) : nil
    }

    mutating func conflict() throws(PaxosCodecError) -> Conflict {
        let maxSeen = try ballot()
        return Conflict(maxSeen: maxSeen, floor: try ballot())
    }

    mutating func prepareAnswer() throws(PaxosCodecError) -> PrepareAnswer {
        let kind = try integer(UInt8.self)
        guard kind > 0 else { return .conflict(try conflict()) }
        guard kind <= 2 else { throw .unknownKind(kind) }
        let accepted = try ballot()
        if kind == 1 { return .promised(acceptedBallot: accepted, value: try value()) }
        let value = try bytes(atMost: Limits.envelopeBytesMaximum)
        return .overtaken(acceptedBallot: accepted, value: value)
    }

    mutating func acceptAnswer() throws(PaxosCodecError) -> AcceptAnswer {
        let kind = try integer(UInt8.self)
        switch kind {
        case 0: return .conflict(try conflict())
        case 1: return .accepted
        case 2:
            let milliseconds = try integer(Int64.self)
            let maximum = Limits.holdMillisecondsMaximum
            guard (1...maximum).contains(milliseconds) else {
                throw .tooLong(Int(clamping: milliseconds), maximum: Int(maximum))
            }
            return .held(milliseconds: milliseconds)
        default: throw .unknownKind(kind)
        }
    }

    mutating func answers<Answer>(
        _ answer: (inout PaxosReader) throws(PaxosCodecError) -> Answer
    ) throws(PaxosCodecError) -> [Answer] {
        let count = try count(atMost: Limits.registersPerMessage)
        var answers: [Answer] = []
        for _ in 0..<count { answers.append(try answer(&self)) }
        return answers
    }

    mutating func refusal() throws(PaxosCodecError) -> Refusal {
        let kind = try integer(UInt8.self)
        switch kind {
        case 1: return .staleRoster(try roster())
        case 2: return .rosterNeeded
        case 3: return .wrongStore
        case 4: return .overloaded
        case 5: return .full
        default: throw .unknownKind(kind)
        }
    }
}
