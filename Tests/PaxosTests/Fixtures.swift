import Model
import NIOCore

@testable import Paxos

/// One voter's acceptor, with a disk that writes when it is told to.
struct Bench {
    static let store = StoreID(high: 1, low: 1)
    static let proposer = NodeID(9)

    var acceptor: Acceptor
    var effects: [Acceptor.Effect] = []
    var disk: [AcceptorRecord] = []
    private var serial: UInt64 = 0
    private var unwritten: [AcceptorRecord] = []
    private var requestID: UInt64 = 0

    init(rules: RegisterRules = RegisterRules(), roster: Roster? = .one) {
        acceptor = Acceptor(cluster: "c", node: NodeID(1), store: Self.store, rules: rules)
        feed(.loaded([]))
        sync()
        if let roster { feed(.adopt(roster)) }
        sync()
    }

    mutating func feed(_ input: Acceptor.Input) {
        var new: [Acceptor.Effect] = []
        acceptor.handle(input, into: &new)
        for case .persist(let serial, let records) in new {
            self.serial = serial
            unwritten = records
        }
        effects += new
    }

    mutating func ask(_ body: PaxosRequest.Body, generation: UInt64 = 1, store: StoreID = store) {
        requestID += 1
        let request = PaxosRequest(
            generation: RosterGeneration(generation), store: store, body: body)
        feed(.request(from: Self.proposer, requestID: requestID, request))
    }

    mutating func sync() {
        disk += unwritten
        unwritten = []
        feed(.persisted(serial: serial))
    }

    /// The disk has no room for what it was to write.
    mutating func refuse() {
        unwritten = []
        feed(.persistRefused(serial: serial))
    }

    /// Asks and lets the disk write; the answer.
    mutating func answer(
        _ body: PaxosRequest.Body, generation: UInt64 = 1, store: StoreID = store
    ) -> PaxosReply.Body? {
        effects = []
        ask(body, generation: generation, store: store)
        sync()
        return replies.last
    }

    var replies: [PaxosReply.Body] {
        effects.compactMap { effect in
            guard case .reply(_, _, let reply) = effect else { return nil }
            return reply.body
        }
    }

    /// Power cut: what was not written is gone.
    mutating func restart() {
        acceptor = Acceptor(cluster: "c", node: NodeID(1), store: Self.store)
        unwritten = []
        effects = []
        feed(.loaded(disk))
    }
}

extension Roster {
    static let one = Roster(generation: RosterGeneration(1), voters: [.of(1)], cluster: "c")
    static let three = Roster(
        generation: RosterGeneration(1), voters: [.of(1), .of(2), .of(3)], cluster: "c")
    static let joint = Roster(
        generation: RosterGeneration(2), voters: [.of(1), .of(2), .of(3)],
        next: [.of(3), .of(4), .of(5)], floor: .of(7), cluster: "c")
}

extension Roster {
    /// The joint roster that brings 4 and 5 in.
    static let brought = Roster.three.joint(to: [.of(3), .of(4), .of(5)])
}

extension Voter {
    static func of(_ node: Int32) -> Voter {
        let key = PublicKey(words: InlineWords4(UInt64(node), 2, 3, 4))
        return Voter(node: NodeID(node), store: StoreID(high: UInt64(node), low: 1), key: key)
    }
}

extension Ballot {
    static func of(_ counter: UInt64, _ node: Int32 = 9) -> Ballot {
        Ballot(counter: counter, proposer: NodeID(node), boot: BootEpoch(1))
    }
}

extension OperationID {
    static func of(_ sequence: UInt64) -> OperationID {
        OperationID(node: NodeID(9), boot: BootEpoch(1), sequence: sequence)
    }
}

extension Envelope {
    static func bytes(_ text: String?, _ operations: [OperationID] = []) -> ByteBuffer {
        Envelope(value: text.map { ByteBuffer(string: $0) }, operations: operations).encoded()
    }
}
