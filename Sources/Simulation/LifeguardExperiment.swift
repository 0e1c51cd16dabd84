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
/// 128 members, probes every 1 s with 500 ms, alpha 5, beta 6, gossip to 3 every 200 ms. An
/// anomaly stops a member's loop right before a send for D, lets it run for I, and so on: inputs
/// queue, outputs are late, and overdue timers fire before the queue is read. A false positive is
/// counted where a suspicion ran out, not at everybody who is told. The paper's set-up is from
/// memory, and receiving does not block again after each packet as it did there.
public struct LifeguardExperiment: Sendable {
    /// One cell of the grid.
    public struct Cell: Hashable, Sendable {
        public let anomalies: Int
        public let durationMilliseconds: Int64
        public let intervalMilliseconds: Int64

        public init(anomalies: Int, durationMilliseconds: Int64, intervalMilliseconds: Int64) {
            self.anomalies = anomalies
            self.durationMilliseconds = durationMilliseconds
            self.intervalMilliseconds = intervalMilliseconds
        }
    }

    /// What one row counts over all cells.
    public struct Result: Hashable, Sendable {
        /// Healthy members declared dead, by anybody.
        public var falsePositives = 0
        /// The same, by healthy members.
        public var falsePositivesAtHealthy = 0
        /// Anomalous members declared dead, by anybody: not false, but told for comparison.
        public var anomalousDeclared = 0
        public var messages = 0
        public var bytes = 0

        public init() {}
    }

    /// A part of the paper's grid over its whole range, from anomalies that no row minds to ones
    /// longer than the shortest suspicion (10.5 s).
    public static let anomalyCounts = [1, 8, 32]
    public static let grid: [Cell] = anomalyCounts.flatMap { anomalies in
        [(512, 64), (2_048, 256), (8_192, 64), (16_384, 256), (32_768, 64)].map {
            Cell(anomalies: anomalies, durationMilliseconds: $0.0, intervalMilliseconds: $0.1)
        }
    }

    public var members = 128
    public var secondsOfQuiet: Int64 = 15
    public var seconds: Int64 = 120

    public init() {}

    public func run(_ parts: LifeguardParts, _ cell: Cell, seed: UInt64) -> Result {
        var mesh = GossipMesh(
            count: members, configuration: Self.configuration(parts), faults: .lan, seed: seed)
        let watch = FalsePositiveWatch()
        mesh.observe = { watch.observe($0, $1, $2) }
        mesh.startWarm()
        mesh.run(milliseconds: secondsOfQuiet * 1_000)
        var generator = SeededGenerator(seed: seed ^ 0xA70)
        let slow = Array((0..<members).shuffled(using: &generator).prefix(cell.anomalies))
        watch.isSlow = [Bool](repeating: false, count: members)
        let end = mesh.now.advanced(byMilliseconds: seconds * 1_000)
        for index in slow {
            watch.isSlow[index] = true
            mesh.setAnomaly(
                index, durationMilliseconds: cell.durationMilliseconds,
                intervalMilliseconds: cell.intervalMilliseconds, until: end)
        }
        watch.result = Result()
        let before = mesh.traffic
        mesh.run(until: end)
        watch.result.messages = mesh.traffic.datagrams - before.datagrams
        watch.result.messages += mesh.traffic.messages - before.messages
        watch.result.bytes = mesh.traffic.datagramBytes - before.datagramBytes
        watch.result.bytes += mesh.traffic.messageBytes - before.messageBytes
        return watch.result
    }

    /// memberlist's constants on a LAN; this machine's own additions are off in every row.
    static func configuration(_ parts: LifeguardParts) -> GossipConfiguration {
        let profile = GossipProfile(
            probeIntervalMilliseconds: 1_000, probeTimeoutMilliseconds: 500,
            gossipIntervalMilliseconds: 200, suspicionMultiplier: 5,
            suspicionMaximumMultiplier: 6, antiEntropyIntervalMilliseconds: 30_000)
        var configuration = GossipConfiguration(profile: profile)
        configuration.rules.healthScaling = parts.contains(.probe)
        configuration.rules.nacks = parts.contains(.probe)
        configuration.rules.dynamicSuspicion = parts.contains(.suspicion)
        configuration.rules.buddy = parts.contains(.buddy)
        configuration.rules.capsSuspicions = false
        configuration.rules.pushesFreshRumours = false
        configuration.rules.distrustsLateTimers = false
        return configuration
    }
}

/// Counts deaths of members that are well.
private final class FalsePositiveWatch {
    var isSlow: [Bool] = []
    var result = LifeguardExperiment.Result()

    func observe(_ member: Int, _ effect: GossipEffect, _ now: Instant) {
        guard case .event(.declaredDead(let subject, _, let accuser, _)) = effect,
            !isSlow.isEmpty, Int(accuser.rawValue) == member + 1
        else { return }
        if isSlow[Int(subject.rawValue) - 1] {
            result.anomalousDeclared += 1
            return
        }
        result.falsePositives += 1
        if !isSlow[member] { result.falsePositivesAtHealthy += 1 }
    }
}
