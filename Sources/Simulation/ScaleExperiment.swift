internal import Gossip
internal import Model
internal import NIOCore

/// What a large mesh costs each member, quiet and while members die.
public struct ScaleExperiment: Sendable {
    /// For each member and second, of virtual time.
    public struct Result: Sendable {
        public let quietDatagrams: Double
        public let quietBytes: Double
        public let busyDatagrams: Double
        public let busyBytes: Double
        public let busyMessages: Double
        public let deathsKnown: Int
        public let deathsExpected: Int
        public let falsePositives: Int
        /// Members that have the value chosen in the last second.
        public let valueReached: Int
        public let events: Int
        public let traceHash: UInt64
    }

    public let members: Int
    public var seconds: Int64 = 60
    public var crashes = 10
    public var faults = NetworkFaults.lan

    public init(members: Int) { self.members = members }

    /// A third of the time quiet, then `crashes` at once, and a value a second all along.
    public func run(seed: UInt64) -> Result {
        var mesh = GossipMesh(count: members, faults: faults, seed: seed)
        let watch = ScaleWatch()
        mesh.observe = { watch.observe($0, $1, $2) }
        mesh.startWarm()
        mesh.run(milliseconds: 5_000)
        let start = mesh.traffic
        let quiet = seconds / 3
        mesh.run(milliseconds: (quiet - 5) * 1_000)
        let before = mesh.traffic
        var generator = SeededGenerator(seed: seed ^ 0x5CA)
        let order = (0..<members).shuffled(using: &generator)
        for index in order.prefix(crashes) {
            watch.isDown[index] = true
            mesh.crash(index)
        }
        var last = ""
        for second in 0..<(seconds - quiet) {
            last = "topic/\(second)"
            let ballot = Ballot(
                counter: UInt64(second + 2), proposer: NodeID(1), boot: BootEpoch(1))
            let value = ChosenValue(
                key: last, ballot: ballot, value: ByteBuffer(repeating: 7, count: 100))
            mesh.choose(value, at: order[crashes + Int(second) % (members - crashes)])
            mesh.run(milliseconds: 1_000)
        }
        mesh.run(milliseconds: 2_000)
        let share = Double(members) * Double(quiet - 5)
        let busy = Double(members - crashes) * Double(seconds - quiet + 2)
        return Result(
            quietDatagrams: Double(before.datagrams - start.datagrams) / share,
            quietBytes: Double(before.datagramBytes - start.datagramBytes) / share,
            busyDatagrams: Double(mesh.traffic.datagrams - before.datagrams) / busy,
            busyBytes: Double(mesh.traffic.datagramBytes - before.datagramBytes) / busy,
            busyMessages: Double(mesh.traffic.messages - before.messages) / busy,
            deathsKnown: watch.known, deathsExpected: crashes * (members - crashes),
            falsePositives: watch.falsePositives,
            valueReached: mesh.nodes.filter { $0.machine?.value(last) != nil }.count,
            events: mesh.eventCount, traceHash: mesh.traceHash)
    }
}

/// Counts who knows of deaths that happened, and of ones that did not.
private final class ScaleWatch {
    var isDown: [Int: Bool] = [:]
    var known = 0
    var falsePositives = 0

    func observe(_ member: Int, _ effect: GossipEffect, _ now: Instant) {
        guard case .event(.declaredDead(let subject, _, _, _)) = effect else { return }
        if isDown[Int(subject.rawValue) - 1] == true {
            known += 1
        } else {
            falsePositives += 1
        }
    }
}
