import Model

/// A fault that is made at a given moment, whatever else happens.
public struct ScheduledFault: Codable, Hashable, Sendable {
    public var kind: MeshFault.Kind
    /// The index of the broker, from 0.
    public var victim: Int
    /// Milliseconds after faults began.
    public var at: Int64
    public var milliseconds: Int64
    /// The seed of what is drawn for this fault alone: which links a cut takes, how slow a disk
    /// gets. So the others stay what they are where one is left out.
    public var dice: UInt64
}

/// Everything that decides a run: the seed of delays and clients, the mesh, and each fault.
///
/// A value that a file may hold. A seed draws one; it is shrunk and run again as one.
public struct MeshSchedule: Codable, Hashable, Sendable {
    public var seed: UInt64
    public var options: MeshOptions
    /// In the order of their moments.
    public var faults: [ScheduledFault]

    public init(seed: UInt64, options: MeshOptions, faults: [ScheduledFault]) {
        self.seed = seed
        self.options = options
        self.faults = faults
    }

    /// More than any seed draws: the bounds of a file that somebody wrote.
    public static let brokersMaximum = 16
    public static let partitionsMaximum: Int32 = 64
    public static let membersMaximum = 64
    public static let faultsMaximum = 100_000
    public static let millisecondsMaximum: Int64 = 3_600_000

    /// What makes no sense in it, in words; nil where a run can be made of it.
    public var objection: String? {
        if !(3...Self.brokersMaximum).contains(options.brokers) {
            return "options.brokers is \(options.brokers); expected 3 to \(Self.brokersMaximum)"
        }
        if !(1...Self.partitionsMaximum).contains(options.partitions) {
            return "options.partitions is \(options.partitions); expected 1 to "
                + "\(Self.partitionsMaximum)"
        }
        if !(0...Self.millisecondsMaximum).contains(options.faultsMilliseconds) {
            return "options.faultsMilliseconds is \(options.faultsMilliseconds); expected 0 to "
                + "\(Self.millisecondsMaximum)"
        }
        if !(0...options.brokers - 3).contains(options.lateBrokers) {
            return "options.lateBrokers is \(options.lateBrokers); expected 0 to "
                + "\(options.brokers - 3)"
        }
        if !(0...Self.membersMaximum).contains(options.groupMembers)
            || !(0...Self.membersMaximum).contains(options.staticMembers)
        {
            return "options.groupMembers, options.staticMembers: expected 0 to "
                + "\(Self.membersMaximum)"
        }
        return networkObjection ?? faultsObjection
    }

    private var networkObjection: String? {
        let network = options.network
        if network.delayMicroseconds.lowerBound < 0
            || network.delayMicroseconds.upperBound > 10_000_000
        {
            return "options.network.delayMicroseconds: expected 0 to 10000000"
        }
        if !(0...1).contains(network.datagramLoss)
            || !(0...1).contains(network.datagramDuplication)
            || !(0...1).contains(network.datagramReordering)
        {
            return "options.network: expected parts from 0 to 1"
        }
        return nil
    }

    private var faultsObjection: String? {
        if faults.count > Self.faultsMaximum {
            return "\(faults.count) faults; expected at most \(Self.faultsMaximum)"
        }
        for (place, fault) in faults.enumerated() {
            if let words = objection(to: fault) { return "faults[\(place)]: \(words)" }
            if place > 0, faults[place - 1].at > fault.at {
                return "faults[\(place)]: at \(fault.at) comes after \(faults[place - 1].at); "
                    + "expected them in order"
            }
        }
        return nil
    }

    private func objection(to fault: ScheduledFault) -> String? {
        if !(0..<options.brokers).contains(fault.victim) {
            return "victim is \(fault.victim); expected 0 to \(options.brokers - 1)"
        }
        if !(0...Self.millisecondsMaximum).contains(fault.at)
            || !(0...Self.millisecondsMaximum).contains(fault.milliseconds)
        {
            return "at and milliseconds: expected 0 to \(Self.millisecondsMaximum)"
        }
        return nil
    }
}

/// Where a world's faults come from, and which of them happened.
struct FaultPlan {
    /// What draws faults; nothing else is drawn by it, so that a run whose faults are given is the
    /// run that drew them.
    var random: SeededGenerator
    /// Given faults; nil has them drawn.
    let given: [ScheduledFault]?
    var next = 0
    var began = Instant(nanoseconds: 0)
    /// When the next one is due. Everything else of that moment happens first: so their order
    /// does not depend on who was scheduled when.
    var due: Instant?
    var happened: [ScheduledFault] = []

    init(seed: UInt64, given: [ScheduledFault]?) {
        random = SeededGenerator(seed: seed ^ 0xFA_17)
        self.given = given
    }
}

extension MeshWorld {
    func beginFaults() {
        faultPlan.began = now
        faultPlan.due = now
        if faultPlan.given != nil { awaitGivenFault() }
    }

    private func awaitGivenFault() {
        guard let given = faultPlan.given, faultPlan.next < given.count else {
            faultPlan.due = nil
            return
        }
        faultPlan.due = faultPlan.began.advanced(byMilliseconds: given[faultPlan.next].at)
    }

    /// Everything up to a moment.
    func advance(to limit: Instant) {
        while violation == nil {
            if let due = faultPlan.due, due <= limit {
                if let event = timeline.next(until: due) {
                    handle(event)
                } else {
                    faultIsDue()
                }
            } else if let event = timeline.next(until: limit) {
                handle(event)
            } else {
                return
            }
        }
    }

    private func faultIsDue() {
        faultPlan.due = nil
        guard let given = faultPlan.given else {
            let own = random
            random = faultPlan.random
            nextFault()
            faultPlan.random = random
            random = own
            return
        }
        let fault = given[faultPlan.next]
        faultPlan.next += 1
        if now < faultsEnd {
            happen(
                MeshFault(
                    kind: fault.kind, victim: fault.victim, at: now,
                    milliseconds: fault.milliseconds), dice: Int64(clamping: fault.dice))
        }
        awaitGivenFault()
    }

    /// Makes a fault, unless the mesh promises nothing about it as it is now.
    func happen(_ fault: MeshFault, dice: Int64) {
        guard mayHappen(fault) else { return }
        faultPlan.happened.append(
            ScheduledFault(
                kind: fault.kind, victim: fault.victim,
                at: fault.at.milliseconds(since: faultPlan.began),
                milliseconds: fault.milliseconds, dice: UInt64(clamping: dice)))
        let outer = random
        random = SeededGenerator(seed: UInt64(clamping: dice))
        begin(fault)
        random = outer
    }
}
