internal import Gossip
internal import Model

/// The parts of Lifeguard that one row of its table switches on.
public struct LifeguardParts: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let probe = LifeguardParts(rawValue: 1)
    public static let suspicion = LifeguardParts(rawValue: 2)
    public static let buddy = LifeguardParts(rawValue: 4)
    public static let all: LifeguardParts = [.probe, .suspicion, .buddy]
}

/// The experiment of the Lifeguard paper (arXiv 1707.00788, section V): members that are slow, not
/// dead, and how many healthy ones are declared dead for it.
///
/// 128 members, probes every 1 s with 500 ms, k 3, alpha 5, beta 6, gossip to 3 every 200 ms; 15 s
/// of quiet, then 120 s in which C members stall together, for D, again and again with I between.
/// What was decided, and why:
///
/// - A stall blocks a member right before each send and right after each receive, and nothing else:
///   timers of suspicions fire on time, whatever would send is stuck in its first send, and a ping
///   goes out late with what it said when it was made. So it is in memberlist, which was measured:
///   one blocked probe fails for each stall, not one for each period of it.
/// - What arrives meanwhile waits in the socket as far as Linux's default lets it (`ReceiveBuffer`)
///   and is then read at 50,000 packets a second, while the member runs. Nothing else is lost: the
///   paper's agents shared one host.
/// - The paper's text gives C, D and I; that the C stall at the same moments is this reading of it.
/// - memberlist's rules in every row, and this machine's own additions off: random gossip peers,
///   4*ceil(log10(N+1)) transmissions, states exchanged every 90 s (memberlist scales 30 s by the
///   size), no pushes, caps or distrust of late timers. As in production, in all rows: rumours are
///   signed and so 88 bytes or more, and a confirmation is passed on a quarter as often.
/// - A false positive is counted where a suspicion ran out, not at everybody who is told; those
///   told are counted beside it.
public struct LifeguardExperiment: Sendable {
    public var members = 128
    public var secondsOfQuiet: Int64 = 15
    public var seconds: Int64 = 120
    public var faults = NetworkFaults.lan

    public init() {}

    public func run(_ parts: LifeguardParts, _ cell: LifeguardCell, seed: UInt64) -> LifeguardCounts
    {
        var mesh = GossipMesh(
            count: members, configuration: Self.configuration(parts), faults: faults, seed: seed)
        mesh.startWarm()
        mesh.run(milliseconds: secondsOfQuiet * 1_000)
        var generator = SeededGenerator(seed: seed ^ 0xA70)
        let slow = Array((0..<members).shuffled(using: &generator).prefix(cell.anomalies))
        let watch = LifeguardWatch(
            members: members, slow: slow, start: mesh.now,
            firstStall: cell.durationMilliseconds)
        mesh.observe = { watch.observe($0, $1, $2) }
        let end = mesh.now.advanced(byMilliseconds: seconds * 1_000)
        for index in slow {
            mesh.stall(
                index, durationMilliseconds: cell.durationMilliseconds,
                intervalMilliseconds: cell.intervalMilliseconds, until: end)
        }
        let before = mesh.traffic
        mesh.run(until: end)
        var counts = watch.counts
        counts.messages = mesh.traffic.datagrams - before.datagrams
        counts.messages += mesh.traffic.messages - before.messages
        counts.bytes = mesh.traffic.datagramBytes - before.datagramBytes
        counts.bytes += mesh.traffic.messageBytes - before.messageBytes
        return counts
    }

    /// memberlist's constants on a LAN; this machine's own additions are off in every row.
    static func configuration(_ parts: LifeguardParts) -> GossipConfiguration {
        let profile = GossipProfile(
            probeIntervalMilliseconds: 1_000, probeTimeoutMilliseconds: 500,
            gossipIntervalMilliseconds: 200, suspicionMultiplier: 5,
            suspicionMaximumMultiplier: 6, antiEntropyIntervalMilliseconds: 90_000)
        var configuration = GossipConfiguration(profile: profile)
        configuration.rules.healthScaling = parts.contains(.probe)
        configuration.rules.nacks = parts.contains(.probe)
        configuration.rules.dynamicSuspicion = parts.contains(.suspicion)
        configuration.rules.buddy = parts.contains(.buddy)
        configuration.rules.capsSuspicions = false
        configuration.rules.pushesFreshRumours = false
        configuration.rules.distrustsLateTimers = false
        configuration.rules.lossPatience = false
        configuration.rules.raisedTransmissions = false
        configuration.rules.dealsGossipPeers = false
        return configuration
    }
}

/// One cell of the paper's grid.
public struct LifeguardCell: Hashable, Sendable {
    /// Members that are slow at the same time.
    public let anomalies: Int
    /// How long each stall lasts.
    public let durationMilliseconds: Int64
    /// How long traffic passes between two stalls.
    public let intervalMilliseconds: Int64

    public static let anomalyCounts = [1, 4, 8, 12, 16, 20, 24, 28, 32]
    public static let durations: [Int64] = (0...8).map { 128 << $0 }
    public static let intervals: [Int64] = (0...7).map { 1 << (2 * $0) }

    /// The paper's 648 cells.
    public static let grid: [LifeguardCell] = cells(anomalyCounts, durations, intervals)
    /// 22 of them, for every day: one, few and many slow members; stalls far shorter than the
    /// shortest suspicion (10.5 s), somewhat and much longer; times between from too short to empty
    /// a socket to long enough for all that waits.
    public static let everyday: [LifeguardCell] =
        cells([8, 32], [512, 16_384, 32_768], [1, 16, 256])
        + cells([1], [16_384, 32_768], [1, 256])

    private static func cells(
        _ anomalies: [Int], _ durations: [Int64], _ intervals: [Int64]
    ) -> [LifeguardCell] {
        anomalies.flatMap { anomalies in
            durations.flatMap { duration in
                intervals.map { interval in
                    LifeguardCell(
                        anomalies: anomalies, durationMilliseconds: duration,
                        intervalMilliseconds: interval)
                }
            }
        }
    }
}

/// What is counted in one run, and summed up over many.
public struct LifeguardCounts: Hashable, Sendable {
    /// Suspicions of healthy members that ran out, at anybody.
    public var falsePositives = 0
    /// The same, at healthy members.
    public var falsePositivesAtHealthy = 0
    /// Healthy members that were told by another that a healthy member is dead, and believed it.
    public var falselyTold = 0
    /// Slow members of which a suspicion ran out at a healthy one: not false.
    public var slowDeclared = 0
    public var messages = 0
    public var bytes = 0
    /// Seconds from the begin of the first stall until a healthy member first declares a slow one
    /// dead, and until all healthy ones know; of stalls that did not end before.
    public var firstSeconds: [Double] = []
    public var allSeconds: [Double] = []

    public init() {}

    public mutating func add(_ other: LifeguardCounts) {
        falsePositives += other.falsePositives
        falsePositivesAtHealthy += other.falsePositivesAtHealthy
        falselyTold += other.falselyTold
        slowDeclared += other.slowDeclared
        messages += other.messages
        bytes += other.bytes
        firstSeconds += other.firstSeconds
        allSeconds += other.allSeconds
    }
}

/// Sorts the deaths that a mesh declares.
private final class LifeguardWatch {
    let isSlow: [Bool]
    let start: Instant
    let firstStallEnd: Instant
    var counts = LifeguardCounts()
    /// Healthy members that know of the death of each slow one.
    private var knowing: [Int]
    private let healthy: Int

    init(members: Int, slow: [Int], start: Instant, firstStall: Int64) {
        var isSlow = [Bool](repeating: false, count: members)
        for index in slow { isSlow[index] = true }
        self.isSlow = isSlow
        self.start = start
        firstStallEnd = start.advanced(byMilliseconds: firstStall)
        knowing = [Int](repeating: 0, count: members)
        healthy = members - slow.count
    }

    func observe(_ member: Int, _ effect: GossipEffect, _ now: Instant) {
        guard case .event(.declaredDead(let node, _, let accuser, _)) = effect else { return }
        let subject = Int(node.rawValue) - 1
        let isOwn = Int(accuser.rawValue) == member + 1
        if isSlow[subject] {
            if !isSlow[member] { slowDied(subject, isOwn, now) }
        } else if isOwn {
            counts.falsePositives += 1
            if !isSlow[member] { counts.falsePositivesAtHealthy += 1 }
        } else if !isSlow[member] {
            counts.falselyTold += 1
        }
    }

    private func slowDied(_ subject: Int, _ isOwn: Bool, _ now: Instant) {
        if isOwn { counts.slowDeclared += 1 }
        guard now <= firstStallEnd else { return }
        let seconds = Double(now.nanoseconds - start.nanoseconds) / 1e9
        knowing[subject] += 1
        if knowing[subject] == 1 { counts.firstSeconds.append(seconds) }
        if knowing[subject] == healthy { counts.allSeconds.append(seconds) }
    }
}
