public import Model
import NIOCore

/// Remembers, for every register, the highest ballot it saw and the last value it accepted, and
/// answers nobody before that is on disk.
///
/// Pure: the shell writes the records of a `persist` effect in one fsync and says `persisted`;
/// requests that arrive meanwhile share the next one. Owned by the broker's control loop. Its
/// invariants (reference, sections 4, 6 and 9):
///
/// - `maxSeen` of a register never falls, and is at least its accepted ballot;
/// - every reply that shows or promises state comes after the fsync that covers it;
/// - after a failed fsync it answers nothing: nobody knows what the disk holds;
/// - without a roster it answers nothing but the roster change that brings it in.
///
/// A request costs one dictionary look-up for each register.
public struct Acceptor: Sendable {
    /// What the shell says.
    public enum Input: Hashable, Sendable {
        /// The whole log, in order; the first input. Requests before it are not answered.
        case loaded([AcceptorRecord])
        case request(from: NodeID, requestID: UInt64, PaxosRequest)
        /// The roster that this broker chose or learnt; an older one changes nothing. One that has
        /// none yet takes it where its store is named there: the caller answers for it that the
        /// store never voted, which is so where its log was empty since its disk was formatted.
        case adopt(Roster)
        case persisted(serial: UInt64)
        case persistFailed(serial: UInt64)
        /// There is no room for the batch, and nothing of it was written: whoever waits for it, or
        /// asked since, is told, and the acceptor goes on from what the disk has.
        case persistRefused(serial: UInt64)
    }

    /// What the shell has to do.
    public enum Effect: Hashable, Sendable {
        /// Write all records, fsync once, then say `persisted`; one is under way at a time.
        case persist(serial: UInt64, [AcceptorRecord])
        case reply(to: NodeID, requestID: UInt64, PaxosReply)
        /// It answers nothing any more; said once.
        case halted(HaltReason)
    }

    /// Why an acceptor stopped for good.
    public enum HaltReason: Hashable, Sendable {
        /// The disk refused a write: this store has lost its vote (reference, section 6).
        case persistFailed
        /// The log belongs to another store or cluster.
        case foreignLog(cluster: String, store: StoreID)
        /// The log says something that no acceptor writes.
        case damagedLog
    }

    /// What the acceptor is up to.
    public enum Phase: Hashable, Sendable {
        case loading
        case serving
        case halted(HaltReason)
    }

    /// Records and answers that share an fsync.
    struct Gathering: Sendable {
        var records: [AcceptorRecord] = []
        var replies: [Reply] = []
        var bytes = 0
        var before: [Before] = []
    }

    /// What a record found, so that it can be taken back where the disk has no room for it.
    enum Before: Sendable {
        case nothing
        /// Nil where the register was not there.
        case register(String, RegisterState?)
        case roster(Roster?)
        case floor(Ballot)
    }

    /// A batch that is being written.
    private struct Writing {
        let replies: [Reply]
        let before: [Before]
    }

    /// An answer that waits.
    struct Reply: Sendable {
        let to: NodeID
        let requestID: UInt64
        let reply: PaxosReply
    }

    public let cluster: String
    public let node: NodeID
    public let store: StoreID
    public internal(set) var phase = Phase.loading
    public internal(set) var roster: Roster?
    public internal(set) var floor = Ballot.zero
    public internal(set) var statistics = AcceptorStatistics()
    /// Looked up by key, and sorted wherever it is shown.
    var registers: [String: RegisterState] = [:]
    var keys = KeyOrder()
    /// Registers that were promised before they held anything; some may hold something by now.
    var lookedUp: [String] = []
    var gathering = Gathering()
    private var writing: Writing?
    private var serial: UInt64 = 0
    let rules: RegisterRules

    public init(cluster: String, node: NodeID, store: StoreID) {
        self.init(cluster: cluster, node: node, store: store, rules: RegisterRules())
    }

    package init(cluster: String, node: NodeID, store: StoreID, rules: RegisterRules) {
        self.cluster = cluster
        self.node = node
        self.store = store
        self.rules = rules
    }

    public var generation: RosterGeneration { roster?.generation ?? .none }

    public var id: VoterID { VoterID(node: node, store: store) }

    /// For how many milliseconds an accept must be refused yet; 0 lets it happen (reference,
    /// section 12: a voter accepts a change of leader only once the lease that it granted has
    /// lapsed). Asked for every accept that would happen, so it should look at the key first.
    public typealias Hold = (LeaseQuestion) -> Int64

    public mutating func handle(
        _ input: Input, holding: Hold = { _ in 0 }, into effects: inout [Effect]
    ) {
        switch input {
        case .loaded(let records):
            guard phase == .loading else { return }
            load(records, into: &effects)
        case .request(let from, let requestID, let request):
            guard phase == .serving else { return }
            statistics.requests += 1
            serve(request, from: from, requestID: requestID, holding, into: &effects)
            write(into: &effects)
        case .adopt(let roster):
            guard phase == .serving else { return }
            if self.roster != nil || isNamed(in: roster) { adopt(roster) }
            write(into: &effects)
        case .persisted(let serial):
            guard phase == .serving, serial == self.serial, let written = writing else { return }
            writing = nil
            for reply in written.replies { send(reply, into: &effects) }
            write(into: &effects)
        case .persistFailed(let serial):
            guard phase == .serving, serial == self.serial, writing != nil else { return }
            halt(.persistFailed, into: &effects)
        case .persistRefused(let serial):
            guard phase == .serving, serial == self.serial, let refused = writing else { return }
            takeBack(refused, into: &effects)
        }
    }

    /// What was gathered since stands on what could not be written, so it goes with it. Nobody was
    /// answered by either.
    private mutating func takeBack(_ refused: Writing, into effects: inout [Effect]) {
        let later = gathering
        gathering = Gathering()
        writing = nil
        for before in (refused.before + later.before).reversed() {
            switch before {
            // Without the first record of all nothing may follow.
            case .nothing: return halt(.persistFailed, into: &effects)
            case .register(let key, let state): registers[key] = state
            case .roster(let last): roster = last
            case .floor(let last): floor = last
            }
        }
        for reply in refused.replies + later.replies {
            statistics.refused += 1
            let refusal = PaxosReply(generation: generation, store: store, body: .refused(.full))
            effects.append(.reply(to: reply.to, requestID: reply.requestID, refusal))
        }
    }

    /// Starts the next fsync unless one is under way; answers that wait for nothing go at once.
    private mutating func write(into effects: inout [Effect]) {
        guard writing == nil else { return }
        let next = gathering
        gathering = Gathering()
        guard !next.records.isEmpty else {
            for reply in next.replies { send(reply, into: &effects) }
            return
        }
        serial += 1
        writing = Writing(replies: next.replies, before: next.before)
        statistics.batches += 1
        statistics.records += UInt64(next.records.count)
        effects.append(.persist(serial: serial, next.records))
    }

    func send(_ reply: Reply, into effects: inout [Effect]) {
        effects.append(.reply(to: reply.to, requestID: reply.requestID, reply.reply))
    }

    private mutating func load(_ records: [AcceptorRecord], into effects: inout [Effect]) {
        for (index, record) in records.enumerated() {
            if case .identity(let cluster, let store) = record {
                guard cluster == self.cluster, store == self.store else {
                    return halt(.foreignLog(cluster: cluster, store: store), into: &effects)
                }
            } else if index == 0 {
                return halt(.damagedLog, into: &effects)
            }
            replay(record)
        }
        if records.isEmpty {
            gathering.records.append(.identity(cluster: cluster, store: store))
            gathering.before.append(.nothing)
        }
        phase = .serving
        write(into: &effects)
    }

    private mutating func replay(_ record: AcceptorRecord) {
        switch record {
        case .identity: break
        case .roster(let next):
            if next.generation > generation { roster = next }
        case .floor(let ballot):
            floor = max(floor, ballot)
        case .promise(let key, let ballot):
            if registers[key] == nil { lookedUp.append(key) }
            registers[key, default: RegisterState()].maxSeen = ballot
        case .accept(let key, let ballot, let value):
            registers[key, default: RegisterState()].accept(ballot, value, rules: rules)
        case .remove(let key):
            registers[key] = nil
        }
    }

    private mutating func halt(_ reason: HaltReason, into effects: inout [Effect]) {
        phase = .halted(reason)
        writing = nil
        gathering = Gathering()
        effects.append(.halted(reason))
    }

    /// Applies a record and has it written: memory is never other than the replay of the log.
    mutating func record(_ record: AcceptorRecord, bytes: Int) {
        gathering.before.append(found(by: record))
        if keys.isKept, let key = record.newKey, registers[key] == nil { keys.add(key) }
        replay(record)
        gathering.records.append(record)
        gathering.bytes += bytes
    }

    private func found(by record: AcceptorRecord) -> Before {
        switch record {
        case .identity: .nothing
        case .roster: .roster(roster)
        case .floor: .floor(floor)
        case .promise(let key, _), .accept(let key, _, _), .remove(let key):
            .register(key, registers[key])
        }
    }

    /// The reply is kept back until whatever it shows is on disk.
    mutating func answer(_ reply: Reply, into effects: inout [Effect]) {
        if rules.persistBeforeReply {
            gathering.replies.append(reply)
        } else {
            send(reply, into: &effects)
        }
    }
}

extension RegisterState {
    mutating func accept(_ ballot: Ballot, _ value: ByteBuffer, rules: RegisterRules) {
        acceptedBallot = ballot
        self.value = value
        if !rules.promiseOutlivesAccept {
            maxSeen = .zero
        } else if rules.acceptRaisesPromise {
            maxSeen = ballot
        }
    }
}
