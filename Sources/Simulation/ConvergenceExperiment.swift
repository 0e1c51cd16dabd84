package import Gossip
internal import Model
internal import NIOCore

/// How fast a chosen value reaches everybody: section 5.2 of the gossip reference.
///
/// One mesh serves all runs, a rumour at a time; each waits until the one before is forgotten.
public struct ConvergenceExperiment: Sendable {
    /// Times in milliseconds to full coverage.
    public struct Result: Sendable {
        /// Of the rumours that reached everybody.
        public let times: Percentiles
        public let covered: Int
        public let runs: Int
        /// Datagrams of gossip for each rumour and member; where datagrams are lost, the rumours
        /// about members that seem dead are part of it.
        public let datagramsPerMember: Double
    }

    public let members: Int
    public let loss: Double
    /// Off: rumours alone, as the reference computed them.
    public var usesAntiEntropy = false
    public var limitMilliseconds: Int64 = 4_000
    package var rules = GossipRules()

    public init(members: Int, loss: Double) {
        self.members = members
        self.loss = loss
    }

    public func run(runs: Int, seed: UInt64) -> Result {
        var configuration = GossipConfiguration()
        var rules = rules
        rules.antiEntropy = usesAntiEntropy && rules.antiEntropy
        configuration.rules = rules
        var mesh = GossipMesh(
            count: members, configuration: configuration,
            faults: NetworkFaults(datagramLoss: loss), seed: seed)
        let watch = CoverageWatch()
        mesh.startWarm()
        mesh.observe = { watch.observe($0, $1, $2) }
        mesh.run(milliseconds: 5_000)
        var generator = SeededGenerator(seed: seed ^ 0xC0)
        var times: [Double] = []
        watch.gossipDatagrams = 0
        for run in 0..<runs {
            watch.key = "topic/rumour-\(run)"
            watch.reached = 0
            let start = mesh.now
            let ballot = Ballot(
                counter: UInt64(run + 2), proposer: NodeID(1), boot: BootEpoch(1))
            let value = ChosenValue(
                key: watch.key, ballot: ballot, value: ByteBuffer(repeating: 7, count: 60))
            mesh.choose(value, at: Int.random(in: 0..<members, using: &generator))
            let limit = start.advanced(byMilliseconds: limitMilliseconds)
            mesh.run(until: limit)
            if watch.reached == members, let last = watch.last {
                times.append(Double(last.nanoseconds - start.nanoseconds) / 1e6)
            }
        }
        let spent = watch.gossipDatagrams
        return Result(
            times: Percentiles(times), covered: times.count, runs: runs,
            datagramsPerMember: Double(spent) / Double(max(1, runs * members)))
    }
}

/// Counts whom one key reached, and what gossip was sent.
private final class CoverageWatch {
    var key = ""
    var reached = 0
    var last: Instant?
    var gossipDatagrams = 0

    func observe(_ member: Int, _ effect: GossipEffect, _ now: Instant) {
        switch effect {
        case .event(.valueApplied(let key, _, _)) where key == self.key:
            reached += 1
            last = now
        case .sendDatagram(_, let bytes) where GossipPackets.isGossip(bytes): gossipDatagrams += 1
        default: break
        }
    }
}
