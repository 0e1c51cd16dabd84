import Model
import Replication

/// A few brokers with one partition, three voters with its register, and a network and disks that
/// a seed makes misbehave; then a quiet phase in which all has to heal.
struct SearchMesh {
    enum Event {
        case message(from: Int, to: Int, link: Int, SearchMessage)
        case linkState(Int, peer: Int, isUp: Bool, link: Int)
        case tick(Int)
        case machineWake(Int, life: Int, Timer)
        case synced(Int, life: Int, upTo: Int, leader: Bool)
        case renewal(Int, life: Int, voter: Int, serial: UInt64)
        case leaseAnswer(Int, life: Int, voter: Int, serial: UInt64, LeaseAnswer)
        case prepare(Int)
        case accept(Int, voter: Int)
        case outcome(Int, isLost: Bool)
        case produce
        case ask
        case fault(Fault)
        case restart(Int)
        case resume(Int)
        case reconnect(Int, Int)
        case heal
    }

    enum Timer { case follower, holder, campaign }

    enum Fault { case pause, linkBreak, stall, clean, unclean, wipe, power, voter, voterCut, give }

    let plan: SearchPlan
    var generator: SeededGenerator
    var schedule = EventQueue<Event>()
    var now: Int64 = 0
    var brokers: [SearchBroker] = []
    var voters: [SearchVoter] = []
    var proposals: [SearchProposal] = []
    var nextBallot = 0
    /// The last value that a majority of voters accepted.
    var register: PartitionState
    var registerBallot = 0
    /// For each pair: which link it is, whether it is up, and when its last message arrives.
    var links: [[Int]]
    var isLinked: [[Bool]]
    var lastArrival: [[Int64]]
    /// For each broker, what came while it was paused.
    var deferred: [[Event]] = []
    var isReplaying = false
    var isHealed = false
    var hasConverged = false
    var nextValue = 0
    var acknowledged = 0
    var leaders = 0
    var violation: String?
    /// What consumers could have read, by offset.
    var committed: [SearchRecord] = []
    /// Which life of which broker led each epoch.
    var leaderOfEpoch: [Int32: [Int]] = [:]
    var lastAsked: Int64 = 0
    var trace: UInt64 = 0xCBF2_9CE4_8422_2325

    static func run(_ plan: SearchPlan, seed: UInt64) -> SearchResult {
        var mesh = SearchMesh(plan, seed: seed)
        mesh.run()
        return SearchResult(
            violation: mesh.violation, acknowledged: mesh.acknowledged, leaders: mesh.leaders,
            trace: mesh.trace)
    }

    init(_ plan: SearchPlan, seed: UInt64) {
        self.plan = plan
        generator = SeededGenerator(seed: seed)
        let ids = (0..<plan.replicas).map {
            ReplicaID(
                node: NodeID(Int32($0)), admission: AdmissionNumber(1), logEpoch: BootEpoch(1))
        }
        register = .initial(placement: ids)
        let row = Array(repeating: 0, count: plan.replicas)
        links = Array(repeating: row, count: plan.replicas)
        isLinked = row.map { _ in row.map { _ in true } }
        deferred = row.map { _ in [] }
        lastArrival = row.map { _ in row.map { _ in 0 } }
        for node in 0..<plan.replicas { brokers.append(newBroker(ids[node], clock: clock())) }
        for _ in 0..<3 {
            let clock = clock()
            voters.append(
                SearchVoter(
                    clock: clock, accepted: register,
                    book: LeaseBook(
                        life: BootEpoch(1), startedAt: clock.instant(0), rules: plan.rules),
                    cutUntil: Array(repeating: 0, count: plan.replicas)))
        }
        sow()
    }

    mutating func random(_ bound: Int) -> Int {
        Int(generator.next(upperBound: UInt64(max(1, bound))))
    }

    mutating func chance(_ percent: Int) -> Bool { random(100) < percent }

    private mutating func clock() -> DriftingClock {
        DriftingClock(
            offset: 1_000_000_000 * Int64(1 + random(1_000)),
            rate: Int64(random(plan.drift + 1) - plan.drift / 2))
    }

    func newBroker(_ id: ReplicaID, clock: DriftingClock) -> SearchBroker {
        SearchBroker(
            node: id.node, clock: clock, id: id, known: register, former: register,
            leading: PartitionMachine(syncRequired: plan.sync, rules: plan.rules),
            following: FollowerMachine(
                id: id, boot: BootEpoch(1), epoch: .unknown, syncRequired: plan.sync,
                rules: plan.rules),
            holder: LeaseHolder(rules: plan.rules),
            promise: CampaignPromise(startedAt: clock.instant(now)))
    }

    private mutating func sow() {
        for broker in brokers.indices {
            start(broker)
            schedule.add(.tick(broker), at: Int64(random(100)))
        }
        let kinds: [(Fault, Int)] = [
            (.pause, plan.pauses), (.linkBreak, plan.linkBreaks), (.stall, plan.stalls),
            (.clean, plan.cleanRestarts), (.unclean, plan.uncleanRestarts), (.wipe, plan.wipes),
            (.power, plan.powerCuts), (.voter, plan.voterRestarts), (.voterCut, plan.voterCuts),
            (.give, plan.transfers),
        ]
        for (kind, count) in kinds {
            for _ in 0..<count { schedule.add(.fault(kind), at: time()) }
        }
        for _ in 0..<plan.produces {
            schedule.add(.produce, at: time())
            schedule.add(.ask, at: time())
        }
        schedule.add(.heal, at: plan.length)
    }

    private mutating func time() -> Int64 { Int64(random(Int(plan.length))) }

    mutating func run() {
        while violation == nil, let (time, event) = schedule.next() {
            now = time
            guard now <= plan.length + Self.healingMilliseconds else {
                violation = "not healed: \(unhealed)"
                return
            }
            step(event)
            if hasConverged { return finish() }
        }
    }

    /// Leases, hysteresis and campaigns, several times over.
    static let healingMilliseconds: Int64 = 20_000

    /// A broker that is paused does what came meanwhile when it goes on, in order.
    private mutating func isDeferred(_ broker: Int, _ event: Event) -> Bool {
        let isPaused = brokers[broker].pausedUntil > now
        guard isPaused || !deferred[broker].isEmpty, !isReplaying else { return false }
        if deferred[broker].isEmpty {
            schedule.add(.resume(broker), at: brokers[broker].pausedUntil)
        }
        deferred[broker].append(event)
        return true
    }

    private mutating func resume(_ broker: Int) {
        guard brokers[broker].pausedUntil <= now else {
            return schedule.add(.resume(broker), at: brokers[broker].pausedUntil)
        }
        let events = deferred[broker]
        deferred[broker] = []
        isReplaying = true
        for event in events { step(event) }
        isReplaying = false
    }

    private mutating func step(_ event: Event) {
        switch event {
        case .message(let from, let to, let link, let message):
            guard brokers[to].isUp, links[from][to] == link, !isDeferred(to, event) else { return }
            receive(message, from: from, at: to)
        case .linkState(let broker, let peer, let isUp, let link):
            guard brokers[broker].isUp, links[broker][peer] == link, !isDeferred(broker, event)
            else { return }
            linkChanged(broker, peer, isUp: isUp)
        case .tick(let broker):
            guard !isDeferred(broker, event) else { return }
            schedule.add(.tick(broker), at: now + 100)
            if brokers[broker].isUp { tick(broker) }
        case .machineWake(let broker, let life, let timer):
            guard brokers[broker].life == life, !isDeferred(broker, event) else { return }
            wake(broker, timer)
        case .synced(let broker, let life, let upTo, let leader):
            guard brokers[broker].life == life, !isDeferred(broker, event) else { return }
            synced(broker, upTo: upTo, leader: leader)
        case .renewal(let broker, let life, let voter, let serial):
            renew(broker, life, at: voter, serial)
        case .leaseAnswer(let broker, let life, let voter, let serial, let answer):
            guard brokers[broker].life == life, !isDeferred(broker, event) else { return }
            hold(broker, answer, from: voter, serial)
        case .prepare(let index):
            guard !isDeferred(proposals[index].broker, event) else { return }
            prepare(index)
        case .accept(let index, let voter): accept(index, at: voter)
        case .outcome(let index, let isLost):
            let broker = proposals[index].broker
            guard brokers[broker].life == proposals[index].life, !isDeferred(broker, event) else {
                return
            }
            outcome(index, isLost: isLost)
        case .produce: produce()
        case .ask: ask()
        case .fault(let kind): if !isHealed { strike(kind) }
        case .restart(let broker): restarted(broker)
        case .resume(let broker): resume(broker)
        case .reconnect(let one, let other): connect(one, other)
        case .heal: heal()
        }
        checkExclusion()
    }

    mutating func note(_ words: Int64...) {
        for word in words { trace = (trace ^ UInt64(bitPattern: word)) &* 0x0000_0100_0000_01B3 }
    }

    mutating func fail(_ reason: String) {
        if violation == nil { violation = "\(now) ms: \(reason)" }
    }
}
