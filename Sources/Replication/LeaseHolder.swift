public import Model

/// Whose answers make a lease: the roster's voters, and its next ones while a change runs.
public struct LeaseVoters: Hashable, Sendable {
    public let voters: [NodeID]
    public let next: [NodeID]?

    public init(voters: [NodeID], next: [NodeID]? = nil) {
        precondition(!voters.isEmpty, "somebody votes")
        self.voters = voters
        self.next = next
    }

    /// Everybody that is asked, each once.
    public var everyone: [NodeID] { voters + (next ?? []).filter { !voters.contains($0) } }

    /// The latest moment that a majority of the voters, and of the next ones, has reached.
    func agreed(_ reached: (NodeID) -> Instant?) -> Instant? {
        guard let first = Self.majority(of: voters, reached) else { return nil }
        guard let next else { return first }
        return Self.majority(of: next, reached).map { min(first, $0) }
    }

    private static func majority(
        of nodes: [NodeID], _ reached: (NodeID) -> Instant?
    ) -> Instant? {
        let times = nodes.compactMap { reached($0) }.sorted(by: >)
        let needed = nodes.count / 2 + 1
        return times.count >= needed ? times[needed - 1] : nil
    }
}

/// What a voter had accepted when it granted a lease: which life of the voter, and how many changes
/// that deposed the holder without its consent it has accepted in it.
///
/// A voter that accepted such a change before it grants again is no proof that the holder still
/// leads: the change may be chosen with the voters that did not grant. So a grant with a new mark
/// counts only once the holder has asked, after it had the grant, whether it leads.
public struct LeaseMark: Hashable, Sendable {
    public let life: BootEpoch
    public let depositions: UInt32

    @inlinable public init(life: BootEpoch, depositions: UInt32) {
        self.life = life
        self.depositions = depositions
    }
}

/// A broker's lease: while it lasts no voter accepts another leader in its place, so it may serve.
///
/// One for each broker, not for each partition (reference, section 12). Renewed with all voters
/// every 300 ms; lasts `leaseMilliseconds` from the *send* time of the latest renewal that a
/// majority has granted, because a grant is older than its arrival. A lapsed lease is held again
/// only after the caller confirmed each of its leaderships by a read that makes voters promise
/// (not by one that only asks): otherwise a change that deposed this broker may be half accepted.
/// Owned by the control loop; a few hundred bytes, and a message to each voter for a renewal.
public struct LeaseHolder: Sendable {
    /// What the roster says, or what a voter or the caller answered.
    public enum Input: Hashable, Sendable {
        case voters(LeaseVoters)
        case granted(NodeID, serial: UInt64, LeaseMark)
        /// The voter knows a newer boot or admission of this broker.
        case refused(NodeID)
        /// Every leadership was read anew, beginning after the effect `confirm` with that number:
        /// the caller leads what it says it leads.
        case confirmed(UInt64)
        /// Some could not be read; it is asked for again with the next renewal.
        case confirmationFailed(UInt64)
        /// The broker has stopped serving, for good: successors need not wait for the lease.
        case release
        case wake
    }

    /// What the caller has to do.
    public enum Effect: Hashable, Sendable {
        case renew(NodeID, serial: UInt64)
        /// Tell that voter that its grant is given back.
        case release(NodeID)
        /// The broker may serve until then, and no longer unless it is said again.
        case held(until: Instant)
        /// Nothing may be served any more.
        case lapsed
        /// Read the registers of all partitions that this broker leads, then say `confirmed`.
        case confirm(UInt64)
        case wake(at: Instant)
    }

    /// One voter's latest grant.
    private struct Grant {
        let voter: NodeID
        var sentAt: Instant
        var mark: LeaseMark
        var confirmed: LeaseMark?
    }

    private struct Renewal {
        let serial: UInt64
        let at: Instant
    }

    public private(set) var until: Instant?
    /// Raised by each lapse. Who began to find out that it leads in one generation serves in that
    /// generation only: in between it may have been deposed.
    public private(set) var generation: UInt64 = 0
    private var voters: LeaseVoters?
    private var grants: [Grant] = []
    private var renewals: [Renewal] = []
    private var serial: UInt64 = 0
    private var nextRenewal = Instant(nanoseconds: 0)
    private var isHeld = false
    private var isReleased = false
    private var confirmation: (serial: UInt64, marks: [(NodeID, LeaseMark)])?
    private let rules: ReplicationRules

    public init() { self.init(rules: ReplicationRules()) }

    package init(rules: ReplicationRules) { self.rules = rules }

    /// Whether the broker may serve at that moment.
    public func isHeld(at now: Instant) -> Bool {
        guard isHeld, let until else { return false }
        return now < until
    }

    public mutating func handle(_ input: Input, now: Instant, into effects: inout [Effect]) {
        expire(now: now, into: &effects)
        guard !isReleased else { return }
        switch input {
        case .voters(let voters):
            self.voters = voters
            grants.removeAll { !voters.everyone.contains($0.voter) }
            renew(now: now, into: &effects)
        case .granted(let voter, let serial, let mark):
            granted(voter, serial, mark, now: now)
            requestConfirmation(into: &effects)
        case .refused(let voter): grants.removeAll { $0.voter == voter }
        case .confirmed(let serial):
            guard let begun = confirmation, begun.serial == serial else { return }
            confirmation = nil
            for place in grants.indices {
                let mark = begun.marks.first { $0.0 == grants[place].voter }
                if let mark { grants[place].confirmed = mark.1 }
            }
            requestConfirmation(into: &effects)
        case .confirmationFailed(let serial):
            if confirmation?.serial == serial { confirmation = nil }
        case .release: release(into: &effects)
        case .wake:
            if now >= nextRenewal { renew(now: now, into: &effects) }
        }
        extend(now: now, into: &effects)
    }

    /// A renewal that is still on its way comes before the release on the same link.
    private mutating func release(into effects: inout [Effect]) {
        isReleased = true
        if isHeld { effects.append(.lapsed) }
        isHeld = false
        until = nil
        generation += 1
        for voter in voters?.everyone ?? [] { effects.append(.release(voter)) }
        grants = []
    }

    private mutating func renew(now: Instant, into effects: inout [Effect]) {
        guard let voters else { return }
        serial += 1
        renewals.removeAll {
            now.milliseconds(since: $0.at) >= ReplicationLimits.leaseMilliseconds
        }
        renewals.append(Renewal(serial: serial, at: now))
        for voter in voters.everyone { effects.append(.renew(voter, serial: serial)) }
        nextRenewal = now.advanced(byMilliseconds: ReplicationLimits.leaseRenewalMilliseconds)
        effects.append(.wake(at: nextRenewal))
        requestConfirmation(into: &effects)
    }

    private mutating func granted(
        _ voter: NodeID, _ serial: UInt64, _ mark: LeaseMark, now: Instant
    ) {
        guard let renewal = renewals.first(where: { $0.serial == serial }),
            voters?.everyone.contains(voter) == true
        else { return }
        let sentAt = rules.leaseFromSendTime ? renewal.at : now
        if let place = grants.firstIndex(where: { $0.voter == voter }) {
            // A late answer to an earlier renewal says less than what is known.
            guard sentAt >= grants[place].sentAt else { return }
            grants[place].sentAt = sentAt
            grants[place].mark = mark
        } else {
            grants.append(Grant(voter: voter, sentAt: sentAt, mark: mark))
        }
    }

    /// Asks for the leaderships where a majority's grants need it; one at a time.
    private mutating func requestConfirmation(into effects: inout [Effect]) {
        guard confirmation == nil, grants.contains(where: { !counts($0) }) else { return }
        serial += 1
        confirmation = (serial, grants.map { ($0.voter, $0.mark) })
        effects.append(.confirm(serial))
    }

    private func counts(_ grant: Grant) -> Bool {
        if rules.depositionsCounted { return grant.confirmed == grant.mark }
        return grant.confirmed != nil
    }

    /// What a majority granted decides until when the lease lasts.
    private mutating func extend(now: Instant, into effects: inout [Effect]) {
        let sentAt = voters?.agreed { voter in
            grants.first { $0.voter == voter && counts($0) }?.sentAt
        }
        guard let end = sentAt?.advanced(byMilliseconds: ReplicationLimits.leaseMilliseconds),
            end > now, !isHeld || end > until ?? end.advanced(byMilliseconds: -1)
        else { return }
        isHeld = true
        until = end
        effects.append(.held(until: end))
        effects.append(.wake(at: end))
    }

    /// A lease that has lapsed leaves nothing that was confirmed.
    private mutating func expire(now: Instant, into effects: inout [Effect]) {
        guard isHeld, let end = until, now >= end else { return }
        isHeld = false
        until = nil
        generation += 1
        for place in grants.indices { grants[place].confirmed = nil }
        confirmation = nil
        effects.append(.lapsed)
    }
}
