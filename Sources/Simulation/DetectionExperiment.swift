public import Gossip
internal import Model

/// How long a crash stays unnoticed: section 5.1 of the gossip reference, on the real machine.
///
/// Each run is a mesh of its own that loses one member at a random phase.
public struct DetectionExperiment: Sendable {
    /// Times in seconds over all runs.
    public struct Result: Sendable {
        public let firstSuspicion: Percentiles
        /// Until somebody declares it dead.
        public let first: Percentiles
        /// Until everybody knows.
        public let all: Percentiles
        public let falsePositives: Int
        /// Runs in which somebody did not know within the limit.
        public let incomplete: Int
    }

    public let members: Int
    public var configuration: GossipConfiguration
    public var faults: NetworkFaults

    public init(
        members: Int, configuration: GossipConfiguration = GossipConfiguration(),
        faults: NetworkFaults = .lan
    ) {
        self.members = members
        self.configuration = configuration
        self.faults = faults
    }

    public func run(runs: Int, seed: UInt64) -> Result {
        var suspicions: [Double] = []
        var firsts: [Double] = []
        var alls: [Double] = []
        var falsePositives = 0
        var incomplete = 0
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<runs {
            var mesh = GossipMesh(
                count: members, configuration: configuration, faults: faults,
                seed: generator.next())
            let watch = DeathWatch()
            mesh.observe = { watch.observe($0, $1, $2) }
            mesh.startWarm()
            mesh.run(milliseconds: 3_000 + Int64.random(in: 0..<3_000, using: &generator))
            let victim = Int.random(in: 0..<members, using: &generator)
            watch.subject = mesh.nodes[victim].node
            let start = mesh.now
            mesh.crash(victim)
            let limit = start.advanced(byMilliseconds: 60_000)
            while watch.knowing < members - 1, mesh.now < limit { mesh.run(milliseconds: 100) }
            falsePositives += watch.others
            if let at = watch.firstSuspicion { suspicions.append(seconds(start, at)) }
            if let at = watch.first { firsts.append(seconds(start, at)) }
            if watch.knowing == members - 1, let at = watch.last {
                alls.append(seconds(start, at))
            } else {
                incomplete += 1
            }
        }
        return Result(
            firstSuspicion: Percentiles(suspicions), first: Percentiles(firsts),
            all: Percentiles(alls), falsePositives: falsePositives, incomplete: incomplete)
    }

    private func seconds(_ start: Instant, _ end: Instant) -> Double {
        Double(end.nanoseconds - start.nanoseconds) / 1e9
    }
}

/// Notes who declares one subject dead, and when.
private final class DeathWatch {
    var subject: NodeID?
    var firstSuspicion: Instant?
    var first: Instant?
    var last: Instant?
    var knowing = 0
    var others = 0

    func observe(_ member: Int, _ effect: GossipEffect, _ now: Instant) {
        guard case .event(let event) = effect else { return }
        switch event {
        case .suspected(let node, _, _, _) where node == subject:
            firstSuspicion = firstSuspicion ?? now
        case .declaredDead(let node, _, _, _):
            guard node == subject else {
                others += 1
                return
            }
            first = first ?? now
            last = now
            knowing += 1
        default: break
        }
    }
}
