public import Model

/// What a voter answers to the renewal of a lease.
public enum LeaseAnswer: Hashable, Sendable {
    case granted(LeaseMark)
    /// A newer boot or admission of that broker is known.
    case outdated
    /// More brokers than a mesh has ask for leases.
    case full
}

/// The leases that a voter has granted: whom it does not let be deposed, and for how long.
///
/// A voter honours a lease longer than its holder counts on, for the drift of two clocks. After its
/// own start it does not know what it granted before, so it waits as long for everybody; so does a
/// new voter, whose predecessors granted (reference, section 12, rules 2, 4 and 6). It keeps
/// nothing on disk. Owned by the control loop; one entry for each broker that asked.
public struct LeaseBook: Sendable {
    private struct Entry {
        var admission: AdmissionNumber
        var boot: BootEpoch
        /// Nil once it was given back.
        var until: Instant?
        var depositions: UInt32 = 0
    }

    /// Brokers that may hold a lease: the largest mesh that is meant, several times.
    public static let entriesMaximum = 4_096

    private let life: BootEpoch
    private let openFrom: Instant
    private var entries: [NodeID: Entry] = [:]
    private let rules: ReplicationRules

    /// - Parameter startedAt: when this process became able to vote, and not earlier.
    public init(life: BootEpoch, startedAt: Instant) {
        self.init(life: life, startedAt: startedAt, rules: ReplicationRules())
    }

    package init(life: BootEpoch, startedAt: Instant, rules: ReplicationRules) {
        self.life = life
        self.rules = rules
        let wait = rules.voterRestartWaits ? ReplicationLimits.leaseHonouredMilliseconds : 0
        openFrom = startedAt.advanced(byMilliseconds: wait)
    }

    /// A broker renews. An older boot of the same broker gets nothing.
    public mutating func renew(
        _ node: NodeID, admission: AdmissionNumber, boot: BootEpoch, now: Instant
    ) -> LeaseAnswer {
        let until = now.advanced(byMilliseconds: ReplicationLimits.leaseHonouredMilliseconds)
        guard var entry = entries[node] else {
            guard entries.count < Self.entriesMaximum else { return .full }
            entries[node] = Entry(admission: admission, boot: boot, until: until)
            return .granted(LeaseMark(life: life, depositions: 0))
        }
        guard (entry.admission, entry.boot) <= (admission, boot) else { return .outdated }
        entry.admission = admission
        entry.boot = boot
        entry.until = max(entry.until ?? until, until)
        entries[node] = entry
        return .granted(LeaseMark(life: life, depositions: entry.depositions))
    }

    /// A broker gives its lease back: it has stopped serving, and a successor need not wait. Only
    /// what this very boot was granted is given back.
    public mutating func release(_ node: NodeID, boot: BootEpoch) {
        guard entries[node]?.boot == boot else { return }
        entries[node]?.until = nil
    }

    /// How long the voter has to refuse a change that deposes this broker; 0 where it may accept.
    public func heldMilliseconds(_ node: NodeID, now: Instant) -> Int64 {
        let held = Self.remaining(entries[node]?.until, now)
        // A broker that gave its lease back in this life of the voter has none from before either.
        let isKnown = entries[node].map { $0.until == nil } ?? false
        return isKnown ? 0 : max(held, Self.remaining(openFrom, now))
    }

    /// The guard of the acceptor: how long the voter has to refuse this value; 0 where it may
    /// accept. A leader that consented has stopped by itself.
    public func heldMilliseconds(_ state: PartitionState, now: Instant) -> Int64 {
        guard let deposed = state.deposed, !state.consented, rules.deposedLeaseRespected else {
            return 0
        }
        return heldMilliseconds(deposed, now: now)
    }

    /// The voter has accepted a change that deposes that broker without its consent.
    public mutating func noteDeposition(of node: NodeID) {
        if entries[node] == nil, entries.count < Self.entriesMaximum {
            entries[node] = Entry(
                admission: AdmissionNumber(0), boot: BootEpoch(0), until: openFrom)
        }
        entries[node]?.depositions &+= 1  // wraps: only a difference matters
    }

    private static func remaining(_ until: Instant?, _ now: Instant) -> Int64 {
        guard let until, until > now else { return 0 }
        return max(1, until.milliseconds(since: now))
    }
}
