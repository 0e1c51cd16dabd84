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
        var copy: ReplicaID
        var boot: BootEpoch
        /// Nil once it was given back.
        var until: Instant?
        /// What earlier copies of that broker were granted.
        var formerUntil: Instant?
        var depositions: UInt32 = 0
    }

    /// Brokers that may hold a lease: the largest mesh that is meant, several times.
    public static let entriesMaximum = 4_096

    private let life: BootEpoch
    private var openFrom: Instant
    private var entries: [NodeID: Entry] = [:]
    /// How often the roster changed that this voter votes under; part of every mark.
    private var rosters: UInt32 = 0
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

    /// This voter votes under another roster from now on: those of the one before may have granted
    /// what it has not heard of, so it waits as long for everybody (reference, section 12, rule 4).
    /// And whoever it granted a lease may not have heard of the roster, and count voters that are
    /// none any more: its next grant counts once it has asked whether it leads, which nobody does
    /// under an older roster.
    public mutating func beginVoting(now: Instant) {
        guard rules.voterRestartWaits else { return }
        rosters &+= 1  // wraps: only a difference matters
        openFrom = max(
            openFrom, now.advanced(byMilliseconds: ReplicationLimits.leaseHonouredMilliseconds))
        // A lease that was given back may have been granted again by others.
        entries = entries.mapValues { entry in
            var next = entry
            next.until = max(entry.until ?? openFrom, openFrom)
            return next
        }
    }

    /// A broker renews, as the copy that its replicas are now. An older boot gets nothing.
    public mutating func renew(_ copy: ReplicaID, boot: BootEpoch, now: Instant) -> LeaseAnswer {
        let node = copy.node
        let until = now.advanced(byMilliseconds: ReplicationLimits.leaseHonouredMilliseconds)
        guard var entry = entries[node] else {
            guard entries.count < Self.entriesMaximum else { return .full }
            entries[node] = Entry(copy: copy, boot: boot, until: until)
            return .granted(LeaseMark(life: life, depositions: rosters))
        }
        guard (entry.copy.admission, entry.boot) <= (copy.admission, boot) else {
            return .outdated
        }
        if entry.copy != copy {
            entry.formerUntil = [entry.formerUntil, entry.until].compactMap { $0 }.max()
            entry.until = nil
        }
        entry.copy = copy
        entry.boot = boot
        entry.until = max(entry.until ?? until, until)
        entries[node] = entry
        // Wraps: only a difference matters.
        return .granted(LeaseMark(life: life, depositions: entry.depositions &+ rosters))
    }

    /// A broker gives its lease back: it has stopped serving, and a successor need not wait. Only
    /// what this very boot was granted is given back.
    public mutating func release(_ node: NodeID, boot: BootEpoch) {
        guard entries[node]?.boot == boot else { return }
        entries[node]?.until = nil
    }

    /// How long the voter has to refuse a change that deposes this copy; 0 where it may accept. A
    /// lease that was granted to a later copy of the broker does not count: that one leads nothing
    /// of what this one did.
    public func heldMilliseconds(_ copy: ReplicaID, now: Instant) -> Int64 {
        let wait = Self.remaining(openFrom, now)
        guard let entry = entries[copy.node] else { return wait }
        guard entry.copy == copy else {
            return max(wait, Self.remaining(entry.formerUntil, now))
        }
        // A broker that gave its lease back in this life of the voter has none from before either.
        guard let until = entry.until else { return 0 }
        return max(wait, Self.remaining(until, now))
    }

    /// The guard of the acceptor: how long the voter has to refuse this value; 0 where it may
    /// accept. A leader that consented has stopped by itself.
    public func heldMilliseconds(_ state: PartitionState, now: Instant) -> Int64 {
        guard let deposed = state.deposed, !state.consented, rules.deposedLeaseRespected else {
            return 0
        }
        return heldMilliseconds(deposed, now: now)
    }

    /// The voter has accepted a change that deposes that copy without its consent.
    public mutating func noteDeposition(of copy: ReplicaID) {
        if entries[copy.node] == nil, entries.count < Self.entriesMaximum {
            entries[copy.node] = Entry(copy: copy, boot: BootEpoch(0), until: openFrom)
        }
        entries[copy.node]?.depositions &+= 1  // wraps: only a difference matters
    }

    /// How many such changes this voter has accepted, of all copies of that broker.
    package func depositions(of node: NodeID) -> UInt32 { entries[node]?.depositions ?? 0 }

    private static func remaining(_ until: Instant?, _ now: Instant) -> Int64 {
        guard let until, until > now else { return 0 }
        return max(1, until.milliseconds(since: now))
    }
}
