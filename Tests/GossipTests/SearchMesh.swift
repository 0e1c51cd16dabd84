import Gossip
import Model
import NIOCore
import Simulation

/// What happens in a random schedule of gossip; the seed decides when, and to whom.
struct GossipPlan: Sendable {
    /// What may go wrong. One thing at a time, with time to settle between.
    enum Fault: Sendable {
        /// Two members don't hear each other; the others hear both.
        case brokenPath
        /// One member hears nobody, and nobody hears it.
        case cutOff
        /// Two parts of the mesh don't hear each other for long.
        case split
        /// All ended, after a time in which each heard nobody and held the others for dead.
        case wholeRestart
        case pause
        case crash
        /// A member restarts, and remembers a running one as dead.
        case wrongMemory
        /// Nothing but rumours is lost, and meanwhile values are chosen.
        case lostRumours
        /// An admitted member accuses in others' names and describes them anew.
        case forgery
        /// An admitted member repeats what it says against one that is paused.
        case slander
        /// An admitted member says that a healthy one is dead.
        case verdict
        /// A member is said to have accused itself.
        case selfAccusation
        /// What a member said of itself before it restarted comes again.
        case echo
        /// What a member said of itself under this boot, and has forgotten, comes again.
        case forgotten
        /// A member without a memory starts while its seed does not run.
        case orphan
        /// Values are chosen and deleted, and what was deleted long ago is forgotten.
        case values
    }

    let faults: [Fault]
    var members = 4...7
    var rules = GossipRules()

    func without(_ rule: WritableKeyPath<GossipRules, Bool>) -> GossipPlan {
        var plan = self
        plan.rules[keyPath: rule] = false
        return plan
    }
}

/// Members under virtual time, what goes wrong among them, and whether they keep to what gossip
/// promises: nobody who runs and can be reached is doubted, or held for dead, but by one that hears
/// nobody, and then few; news never goes back; nobody shortens a suspicion alone; and once all is well everybody knows the same.
struct SearchMesh {
    private static let stepMilliseconds: Int64 = 100
    private static let faultsMilliseconds: Int64 = 40_000
    /// After a fault, until nobody may be doubted for it any more.
    static let settlingMilliseconds: Int64 = 9_000
    private static let convergenceMilliseconds: Int64 = 60_000

    let plan: GossipPlan
    var mesh: GossipMesh
    var dice: SeededGenerator
    let watch: GossipWatch
    var nextFault: Int64 = 3_000
    /// What ends the fault, and when.
    var mending: (at: Int64, how: (inout SearchMesh) -> Void)?
    var counter: UInt64 = 10

    /// What was broken first; nil where nothing was.
    static func run(_ plan: GossipPlan, seed: UInt64) -> String? {
        var search = SearchMesh(plan, seed: seed)
        return search.run()
    }

    private init(_ plan: GossipPlan, seed: UInt64) {
        self.plan = plan
        dice = SeededGenerator(seed: seed ^ 0x6055_1B)
        var configuration = GossipConfiguration()
        configuration.rules = plan.rules
        let count = Int.random(in: plan.members, using: &dice)
        // Over slow links a probe is often under way when something happens.
        let delays: ClosedRange<Int64> = Bool.random(using: &dice) ? 150...350 : 10_000...40_000
        mesh = GossipMesh(
            count: count, configuration: configuration,
            faults: NetworkFaults(delayMicroseconds: delays), seed: seed)
        watch = GossipWatch(count: count)
        let watch = watch
        mesh.observe = { index, effect, now in
            if case .event(let event) = effect { watch.note(event, at: index, now) }
        }
        mesh.startWarm()
    }

    var now: Int64 { mesh.now.nanoseconds / 1_000_000 }
    var count: Int { mesh.nodes.count }

    mutating func draw(_ range: ClosedRange<Int64>) -> Int64 {
        Int64.random(in: range, using: &dice)
    }

    /// One member, and another one.
    mutating func pair() -> (Int, Int) {
        let first = Int.random(in: 0..<count, using: &dice)
        let step = Int.random(in: 1..<count, using: &dice)
        return (first, (first + step) % count)
    }

    private mutating func run() -> String? {
        while now < Self.faultsMilliseconds, watch.violation == nil {
            if let (at, how) = mending, now >= at {
                mending = nil
                how(&self)
                nextFault = now + Self.settlingMilliseconds + draw(0...2_000)
            }
            if mending == nil, now >= nextFault { begin() }
            step()
        }
        if let (_, how) = mending { how(&self) }
        mending = nil
        mesh.network.healAll()
        mesh.network.faults.datagramLoss = 0
        let end = now + Self.convergenceMilliseconds
        while watch.violation == nil, let difference {
            if now >= end { return "not whole again: \(difference)" }
            step()
        }
        return watch.violation
    }

    private mutating func step() {
        for index in mesh.nodes.indices where hearsVoters(index) {
            mesh.handle(.voterAnswers(at: mesh.now), at: index)
        }
        mesh.run(milliseconds: Self.stepMilliseconds)
        for viewer in mesh.nodes.indices {
            for subject in mesh.nodes.indices where subject != viewer {
                guard let machine = mesh.nodes[viewer].machine else { continue }
                watch.note(
                    life: machine.member(mesh.nodes[subject].node)?.life, of: subject, at: viewer,
                    under: mesh.nodes[viewer].boot)
            }
        }
    }

    private func hearsVoters(_ index: Int) -> Bool {
        guard mesh.nodes[index].isUp, !mesh.nodes[index].isFrozen else { return false }
        let heard = mesh.nodes.indices.filter { other in
            other == index
                || mesh.nodes[other].isUp && !mesh.nodes[other].isFrozen
                    && !mesh.network.isCut(.streams, from: index, to: other)
                    && !mesh.network.isCut(.streams, from: other, to: index)
        }
        return 2 * heard.count > count
    }

    /// What keeps the mesh from being whole.
    private var difference: String? {
        for viewer in mesh.nodes.indices {
            guard let machine = mesh.nodes[viewer].machine else { return "\(viewer + 1) is down" }
            for subject in mesh.nodes where subject.node != mesh.nodes[viewer].node {
                let member = machine.member(subject.node)
                guard member?.status == .alive else {
                    return "\(viewer + 1) holds \(subject.node.rawValue) for "
                        + "\(member.map { "\($0.status)" } ?? "a stranger")"
                }
                if member?.life != subject.machine?.ownRecord.life {
                    return "\(viewer + 1) knows \(subject.node.rawValue) by an older record"
                }
            }
            for (key, value) in mesh.registers.sorted(by: { $0.key < $1.key }) {
                guard value.ballot > watch.floor || value.value != nil else {
                    if machine.versions(prefix: key).page.contains(where: \.isTombstone) {
                        return "\(viewer + 1) keeps the tombstone of \(key)"
                    }
                    continue
                }
                if machine.value(key)?.value != value.value {
                    return "\(viewer + 1) does not know what \(key) holds"
                }
            }
        }
        return nil
    }
}

/// Sees what members say of each other, and whether they may.
final class GossipWatch {
    private let count: Int
    private(set) var violation: String?
    /// Until when a member may be doubted, in milliseconds: it is down, paused or cut off.
    var doubtful: [Int64]
    /// Until when what a member says of others counts for nothing.
    var misled: [Int64]
    /// Until when a member hears nobody.
    var cutOff: [Int64]
    private var deaths: [Int: Set<NodeID>] = [:]
    /// When a member found out that it is heard again; a suspicion lasts that long at least.
    private var returned: [Int64]
    private static let freshMilliseconds: Int64 = 900
    /// Tombstones up to here are forgotten.
    var floor = Ballot.zero
    /// The lives that a viewer knows, under its boot.
    private var lives: [Int: (boot: UInt64, life: MemberLife)] = [:]
    private var deadlines: [Int: Instant] = [:]

    init(count: Int) {
        self.count = count
        doubtful = Array(repeating: 0, count: count)
        misled = doubtful
        cutOff = doubtful
        returned = Array(repeating: -Self.freshMilliseconds, count: count)
    }

    func cutOff(_ index: Int, until end: Int64) {
        cutOff[index] = max(cutOff[index], end)
        deaths[index] = []
    }

    private func fail(_ what: String) {
        if violation == nil { violation = what }
    }

    private func index(_ node: NodeID) -> Int { Int(node.rawValue) - 1 }

    /// What a viewer knows of a member never gets older.
    func note(life: MemberLife?, of subject: Int, at viewer: Int, under boot: UInt64) {
        guard let life else { return }
        let place = viewer * count + subject
        if let before = lives[place], before.boot == boot, life < before.life {
            fail("\(viewer + 1) took an older record of \(subject + 1) for news")
        }
        lives[place] = (boot, life)
    }

    func note(_ event: GossipEvent, at viewer: Int, _ now: Instant) {
        let time = now.nanoseconds / 1_000_000
        switch event {
        case .suspected(let node, _, let accuser, let deadline):
            deadlines[viewer * count + index(node)] = deadline
            guard time >= doubtful[index(node)], time >= misled[index(accuser)] else { return }
            fail("\(viewer + 1) suspects \(node.rawValue) on the word of \(accuser.rawValue)")
        case .declaredDead(let node, _, let judge, let accusers):
            if index(judge) == viewer, time < returned[viewer] + Self.freshMilliseconds {
                fail(
                    "\(viewer + 1) concludes that \(node.rawValue) is dead from when it heard nobody"
                )
            }
            if time < cutOff[viewer] {
                // It can't know at once that it is the one who hears nobody.
                deaths[viewer, default: []].insert(node)
                if 3 * (deaths[viewer]?.count ?? 0) > count {
                    fail("\(viewer + 1), which hears nobody, holds more than a third for dead")
                }
            } else if index(judge) == viewer, time < misled[viewer] {
                // Nor can it know at once that it is heard again.
            } else if time >= doubtful[index(node)] {
                fail(
                    "\(viewer + 1) holds \(node.rawValue) for dead on the word of "
                        + "\(judge.rawValue)")
            }
            guard index(judge) == viewer, Set(accusers).count == 1,
                let deadline = deadlines[viewer * count + index(node)], now < deadline
            else { return }
            fail("\(accusers[0].rawValue) alone had \(viewer + 1) end a suspicion early")
        case .isolated(false): returned[viewer] = time
        case .departed(let node, _): fail("\(viewer + 1) takes \(node.rawValue) for gone")
        default: break
        }
    }
}
