public import Model
public import NIOCore

/// What an acceptor has done since it was loaded, for metrics and the CLI.
public struct AcceptorStatistics: Hashable, Sendable {
    public var requests: UInt64 = 0
    /// Answered without being looked at: roster, store or load.
    public var refused: UInt64 = 0
    /// Registers whose ballot was too low.
    public var conflicts: UInt64 = 0
    /// Registers whose accept would have broken a lease.
    public var held: UInt64 = 0
    /// Fsyncs asked for, and the records in them: their quotient is what group commit gains.
    public var batches: UInt64 = 0
    public var records: UInt64 = 0

    public init() {}
}

/// One register of one acceptor as the CLI shows it.
public struct RegisterSnapshot: Hashable, Sendable {
    public let key: String
    public let maxSeen: Ballot
    public let acceptedBallot: Ballot
    /// Without its envelope; nil for a tombstone and for a register that was only promised.
    public let value: ByteBuffer?
    public let operations: [OperationID]
}

extension Acceptor {
    public var registerCount: Int { registers.count }

    /// The highest ballot that was promised or accepted; one pass.
    public var highestSeen: Ballot { registers.values.lazy.map(\.maxSeen).max() ?? .zero }

    /// Up to `limit` registers after `key`, in order of their keys: also what repairs a new voter.
    public func registers(after key: String = "", limit: Int) -> [RegisterSnapshot] {
        registers.keys.sorted().lazy.filter { $0 > key }.prefix(limit).compactMap { key in
            register(key)
        }
    }

    /// One register; nil where nothing was promised or accepted of it.
    public func register(_ key: String) -> RegisterSnapshot? {
        guard let state = registers[key] else { return nil }
        let envelope = state.value.flatMap { try? Envelope(decoding: $0) }
        return RegisterSnapshot(
            key: key, maxSeen: state.maxSeen, acceptedBallot: state.acceptedBallot,
            value: envelope?.value, operations: envelope?.operations ?? [])
    }

    /// What this acceptor holds of one register.
    public func state(of key: String) -> RegisterState { registers[key] ?? RegisterState() }

    /// The shortest log that replays to this state, for a log that is written anew.
    public func compactedLog() -> [AcceptorRecord] {
        var log: [AcceptorRecord] = [.identity(cluster: cluster, store: store)]
        if let roster { log.append(.roster(roster)) }
        if floor > .zero { log.append(.floor(floor)) }
        for key in registers.keys.sorted() {
            guard let state = registers[key] else { continue }
            if let value = state.value {
                log.append(.accept(key: key, state.acceptedBallot, value))
            }
            if state.maxSeen != state.acceptedBallot || state.value == nil {
                log.append(.promise(key: key, state.maxSeen))
            }
        }
        return log
    }
}

/// What a proposer has done, for metrics and the CLI.
public struct ProposerStatistics: Hashable, Sendable {
    /// Changes that were answered `chosen`.
    public var chosen: UInt64 = 0
    public var notChosen: UInt64 = 0
    public var unknown: UInt64 = 0
    /// Changes that were answered `held`, and rounds that leases ended.
    public var held: UInt64 = 0
    public var holds: UInt64 = 0
    /// Prepare rounds, counted for each change in them; over `chosen` at most 1.05 is the aim.
    public var rounds: UInt64 = 0
    /// Rounds that a rival's ballot ended.
    public var duels: UInt64 = 0
    /// Rounds that ended without an answer in time.
    public var timeouts: UInt64 = 0
    /// Reads that one round trip answered, and those that needed a round of Paxos.
    public var readsAtOnce: UInt64 = 0
    public var readsByRound: UInt64 = 0

    public init() {}

    public var roundsPerChosenChange: Double {
        chosen == 0 ? 0 : Double(rounds) / Double(chosen)
    }
}

/// How often a register was duelled for, and with whom last.
public struct DuelCount: Hashable, Sendable {
    public let key: String
    public let count: UInt64
    public let lastRival: NodeID
}
