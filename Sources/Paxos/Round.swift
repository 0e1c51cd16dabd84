import Model
import NIOCore

/// One change or one read of one register on its way to an outcome.
struct Errand: Sendable {
    let token: UInt64
    /// Its place among the outcomes of its token.
    let index: Int
    let key: String
    /// Nil for a read.
    let change: RegisterChange?
    let deadline: Instant
    var attempts = 0
    /// How often a quorum answered a read and did not agree.
    var disagreements = 0
    /// The first ballot at which a value with this change may have been accepted somewhere.
    var firstAccept: Ballot?

    init(token: UInt64, index: Int, key: String, change: RegisterChange?, deadline: Instant) {
        self.token = token
        self.index = index
        self.key = key
        self.change = change
        self.deadline = deadline
        firstAccept = change?.retrying
    }

    /// A read asks without promising; where answers disagreed twice, a round of Paxos settles what
    /// is unsettled. Silence alone never leads to one: it would leave promises behind for whatever
    /// name a client asked for. A change that let others go first asks once, whether there is
    /// anything left to do.
    var mayRead: Bool {
        guard let change else { return disagreements < 2 }
        return change.rank > 0 && attempts == 0 && firstAccept == nil
    }
}

/// What the caller is told once the accept of a register is chosen.
enum Settlement: Sendable {
    case chosen
    case abandoned(AbandonReason)
    case tooLarge
}

/// One register within a round: its errand, and who said what.
struct Member: Sendable {
    var errand: Errand
    var inFavour: [VoterID] = []
    /// Whoever refused, will not answer, or left this register out.
    var against: [VoterID] = []
    /// Those of them that were not reached.
    var away: [VoterID] = []
    /// Those of them that have no room for what was asked.
    var full: [VoterID] = []
    /// Who refused because of a lease, and for how many milliseconds yet.
    var holds: [(voter: VoterID, milliseconds: Int64)] = []
    /// Of the values that were shown, the one with the highest ballot.
    var highest = Ballot.zero
    var value: ByteBuffer?
    /// Who showed exactly that ballot: a quorum of them shows that it is chosen.
    var agreeing: [VoterID] = []
    /// The highest floor that was shown: at or below it, history is lost.
    var floor = Ballot.zero
    /// The highest promise among those that were shown to a read.
    var promised = Ballot.zero
    /// In an accept: what is proposed, and what it means.
    var proposal = ByteBuffer()
    var settlement = Settlement.chosen
    /// Whether a rival's ballot was in the way.
    var isDuelled = false

    init(errand: Errand) { self.errand = errand }

    mutating func raise(_ ballot: Ballot) { floor = max(floor, ballot) }

    mutating func promise(_ ballot: Ballot) { promised = max(promised, ballot) }

    /// Whether the change may have been made and forgotten since: its register was removed after a
    /// tombstone, or eight later changes pushed its operation id out.
    func mayHaveForgotten(_ envelope: Envelope) -> Bool {
        guard let first = errand.firstAccept else { return false }
        if floor > .zero, floor >= first { return true }
        return highest >= first && envelope.operations.count >= Limits.operationsRemembered
    }

    /// A value that an acceptor showed.
    mutating func show(
        _ ballot: Ballot, _ value: ByteBuffer?, by voter: VoterID, agrees: Bool = true,
        rules: RegisterRules
    ) {
        inFavour.append(voter)
        if ballot > highest || inFavour.count == 1 || !rules.highestAcceptedWins {
            if ballot != highest { agreeing.removeAll(keepingCapacity: true) }
            highest = ballot
            self.value = value
        }
        if ballot == highest, agrees { agreeing.append(voter) }
    }
}

/// One message to every voter and its answers: one phase, one ballot, many registers.
///
/// Registers leave it one by one as they are decided; their places stay, because answers are in
/// the order of the request.
struct Round: Sendable {
    /// What the message asks.
    enum Phase: Hashable, Sendable {
        case read
        case prepare
        case accept
    }

    let phase: Phase
    /// Zero for a read.
    let ballot: Ballot
    let deadline: Instant
    var members: [Member?]
    var requestIDs: [UInt64] = []
    /// Acceptors that were told the roster in this round: once is enough.
    var taught: [VoterID] = []

    /// The message, from what was there when the round began; nil once a register has left.
    func body() -> PaxosRequest.Body? {
        let whole = members.compactMap { $0 }
        guard whole.count == members.count else { return nil }
        switch phase {
        case .read: return .read(whole.map(\.errand.key))
        case .prepare: return .prepare(ballot, whole.map(\.errand.key))
        case .accept:
            return .accept(
                ballot, whole.map { Proposal(key: $0.errand.key, value: $0.proposal) })
        }
    }

    /// Marks that `voter` says nothing in favour of any register.
    mutating func refuse(_ voter: VoterID) {
        for index in members.indices { members[index]?.against.append(voter) }
    }

    /// Marks that `voter` was not reached.
    mutating func miss(_ voter: VoterID) {
        refuse(voter)
        for index in members.indices { members[index]?.away.append(voter) }
    }

    /// Marks that `voter` wrote nothing of it for want of room; a read only was in bad company.
    mutating func refuseFull(_ voter: VoterID) {
        refuse(voter)
        guard phase != .read else { return }
        for index in members.indices { members[index]?.full.append(voter) }
    }
}
