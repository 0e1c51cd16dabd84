import Model
import NIOCore

@testable import Paxos

/// A few acceptors and proposers under a network and disks that a seed makes misbehave.
struct SearchMesh {
    enum Event {
        case request(slot: Int, from: NodeID, requestID: UInt64, PaxosRequest)
        case reply(to: NodeID, from: NodeID, requestID: UInt64, PaxosReply)
        case persisted(slot: Int, life: Int, serial: UInt64)
        case wake(proposer: Int, life: Int)
        case operation(proposer: Int)
        case crash(slot: Int, wipe: Bool)
        case restart(slot: Int)
        case reboot(proposer: Int)
        case seal
        case copy
        case learn(proposer: Int)
        case collect
        case heal
        case lastRead
    }

    /// An acceptor and its disk; nil while it is down.
    struct Slot {
        var acceptor: Acceptor?
        var store: StoreID
        var disk: [AcceptorRecord] = []
        var unwritten: [AcceptorRecord] = []
        var life = 0
    }

    /// A proposer, and which operation each of its tokens is.
    struct Client {
        var proposer: Proposer
        var life = 0
        var tokens: [UInt64: Int] = [:]
    }

    static let key = "topic/a"
    let plan: SearchPlan
    var generator: SeededGenerator
    var schedule = Schedule<Event>()
    var now: Int64 = 0
    var slots: [Slot] = []
    var clients: [Client] = []
    var history = History()
    var changes: [RegisterChange] = []
    var retries: [Int: Int] = [:]
    var collector: Collector?
    /// For every path to and from a voter, when it loses everything.
    var clogs: [Range<Int64>] = []
    var isHealed = false
    var isLive = false
    var collected = false
    var chosen = 0
    var nextToken: UInt64 = 0
    var trace: UInt64 = 0
    var isTracing = false
    let roster: Roster
    let nextRoster: Roster

    /// The trace costs more than the rest, and is 0 unless it is asked for.
    static func run(_ plan: SearchPlan, seed: UInt64, tracing: Bool = false) -> SearchResult {
        var mesh = SearchMesh(plan, seed: seed)
        mesh.isTracing = tracing
        mesh.run()
        return SearchResult(
            isLinearizable: mesh.history.isLinearizable, isLive: mesh.isLive, chosen: mesh.chosen,
            isCollected: mesh.collected, trace: mesh.trace)
    }

    static func voter(_ slot: Int) -> Voter {
        let key = PublicKey(words: InlineWords4(UInt64(slot), 2, 3, 4))
        return Voter(node: NodeID(Int32(slot)), store: store(slot, 0), key: key)
    }

    static func store(_ slot: Int, _ format: UInt64) -> StoreID {
        StoreID(high: UInt64(slot), low: format)
    }

    init(_ plan: SearchPlan, seed: UInt64) {
        self.plan = plan
        generator = SeededGenerator(seed: seed)
        let voters = (0..<plan.voters).map { Self.voter($0) }
        roster = Roster(generation: RosterGeneration(1), voters: voters, cluster: "c")
        nextRoster = Roster(
            generation: RosterGeneration(2), voters: [0, 3, 4].map { Self.voter($0) }, cluster: "c")
        for slot in 0..<(plan.newRoster ? 5 : plan.voters) {
            slots.append(Slot(store: Self.store(slot, 0)))
        }
        for index in 0..<plan.proposers { clients.append(client(index, life: 0)) }
        for slot in 0..<plan.voters {
            restart(slot)
        }
        for _ in 0..<plan.voters * plan.proposers * 2 {
            let start = chance(plan.clogged) ? time() : 0
            clogs.append(start..<start + (start > 0 ? 20 + Int64(random(80)) : 0))
        }
        for index in clients.indices {
            let counter = UInt64(random(plan.counters))
            let ballot = Ballot(counter: counter, proposer: NodeID(1), boot: BootEpoch(1))
            feed(client: index, .observed(ballot))
        }
        sow()
    }

    /// Everything that the plan has happen, at random times.
    private mutating func sow() {
        for _ in 0..<plan.operations {
            schedule.add(.operation(proposer: random(plan.proposers)), at: time())
        }
        for _ in 0..<plan.acceptorCrashes where chance(50) {
            schedule.add(.crash(slot: random(plan.voters), wipe: false), at: time())
        }
        for _ in 0..<plan.proposerCrashes where chance(50) {
            schedule.add(.reboot(proposer: random(plan.proposers)), at: time())
        }
        if plan.wipes { schedule.add(.crash(slot: 0, wipe: true), at: time()) }
        if plan.newRoster {
            schedule.add(.seal, at: time())
            for index in clients.indices {
                schedule.add(.learn(proposer: index), at: time() + plan.length / 2)
            }
        }
        schedule.add(.heal, at: plan.length + 200)
        schedule.add(.lastRead, at: plan.length + 600)
    }

    mutating func random(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
    mutating func chance(_ percent: Int) -> Bool { random(100) < percent }
    private mutating func time() -> Int64 { Int64(random(Int(plan.length))) }

    func client(_ index: Int, life: Int) -> Client {
        var configuration = Proposer.Configuration()
        configuration.roundTimeoutMilliseconds = plan.roundTimeout
        configuration.deadlineMilliseconds = 4 * plan.roundTimeout
        configuration.backoffMillisecondsMaximum = 40
        configuration.restGridMilliseconds = 1
        let seed = UInt64(index) << 8 + UInt64(plan.sameSeeds ? 0 : life)
        let proposer = Proposer(
            node: NodeID(Int32(100 + index)), boot: BootEpoch(UInt64(life + 1)), roster: roster,
            seed: seed, configuration: configuration, rules: plan.rules)
        return Client(proposer: proposer, life: life)
    }

    mutating func run() {
        while let (time, event) = schedule.next() {
            now = time
            // Nothing but late wakes is left once the last read is answered.
            if isLive || time > plan.length + 3000 { break }
            step(event)
        }
    }

    private mutating func step(_ event: Event) {
        switch event {
        case .request(let slot, let from, let requestID, let request):
            feed(slot, .request(from: from, requestID: requestID, request))
        case .reply(let to, let from, let requestID, let reply):
            deliver(reply, to: to, from: from, requestID: requestID)
        case .persisted(let slot, let life, let serial):
            guard slots[slot].life == life else { return }
            slots[slot].disk += slots[slot].unwritten
            slots[slot].unwritten = []
            feed(slot, .persisted(serial: serial))
        case .wake(let index, let life):
            if clients[index].life == life { feed(client: index, .wake) }
        case .operation(let index): begin(index)
        case .crash(let slot, let wipe): crash(slot, wipe: wipe)
        case .restart(let slot): restart(slot)
        case .reboot(let index): reboot(index)
        case .seal: seal()
        case .copy: copy()
        case .learn(let index):
            if slots[0].acceptor?.generation == nextRoster.generation {
                feed(client: index, .rosterChanged(nextRoster))
            }
        case .collect: collect()
        case .heal: heal()
        case .lastRead: startRead(0, isLast: true)
        }
    }

    mutating func feed(_ slot: Int, _ input: Acceptor.Input) {
        guard slots[slot].acceptor != nil else { return }
        var effects: [Acceptor.Effect] = []
        slots[slot].acceptor?.handle(input, into: &effects)
        for effect in effects {
            note(effect)
            switch effect {
            case .persist(let serial, let records):
                slots[slot].unwritten = records
                let event = Event.persisted(slot: slot, life: slots[slot].life, serial: serial)
                schedule.add(event, at: now + 1 + Int64(random(chance(plan.slowSyncs) ? 40 : 4)))
            case .reply(let to, let requestID, let reply):
                let from = NodeID(Int32(slot))
                transmit(.reply(to: to, from: from, requestID: requestID, reply))
            case .halted: break
            }
        }
    }

    mutating func feed(client index: Int, _ input: Proposer.Input) {
        var effects: [Proposer.Effect] = []
        let instant = Instant(nanoseconds: now * 1_000_000)
        clients[index].proposer.handle(input, now: instant, into: &effects)
        for effect in effects {
            note(effect)
            switch effect {
            case .send(let to, let requestID, let request):
                let from = clients[index].proposer.node
                transmit(
                    .request(
                        slot: Int(to.rawValue), from: from, requestID: requestID, request))
            case .wake(let at):
                let event = Event.wake(proposer: index, life: clients[index].life)
                schedule.add(event, at: max(now, (at.nanoseconds + 999_999) / 1_000_000))
            case .done(let token, let outcomes): end(index, token, outcomes[0])
            case .rosterLearned: break
            }
        }
    }

    /// Loses, doubles and delays.
    mutating func transmit(_ event: Event) {
        if !isHealed, chance(plan.loss) || isClogged(event) { return }
        repeat {
            let isStuck = !isHealed && chance(plan.stuck)
            let delay = isStuck ? 20 + random(180) : 1 + random(8)
            schedule.add(event, at: now + Int64(delay))
        } while !isHealed && chance(plan.duplication)
    }

    private func isClogged(_ event: Event) -> Bool {
        switch event {
        case .request(let slot, let from, _, _): isClogged(from, slot, 0)
        case .reply(let to, let from, _, _): isClogged(to, Int(from.rawValue), 1)
        default: false
        }
    }

    private func isClogged(_ client: NodeID, _ slot: Int, _ direction: Int) -> Bool {
        let path = ((Int(client.rawValue) - 100) * plan.voters + slot) * 2 + direction
        return clogs.indices.contains(path) && clogs[path].contains(now)
    }

    private mutating func deliver(
        _ reply: PaxosReply, to: NodeID, from: NodeID, requestID: UInt64
    ) {
        let index = Int(to.rawValue) - 100
        if to == Collector.node {
            sweep(reply, from: from, requestID: requestID)
        } else {
            feed(client: index, .reply(from: from, requestID: requestID, reply))
        }
    }

    /// A hash of all effects: another run from the same seed must come to the same.
    private mutating func note(_ effect: some Any) {
        guard isTracing else { return }
        for byte in "\(now) \(effect)".utf8 {
            trace = (trace ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
    }
}
