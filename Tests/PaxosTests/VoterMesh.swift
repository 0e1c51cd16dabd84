import Model
import NIOCore
import Simulation

@testable import Paxos

/// Acceptors that come and go as voters, and brokers that propose, change the roster and sweep,
/// under a network and disks that a seed makes misbehave.
struct VoterMesh {
    enum Event {
        case request(slot: Int, from: NodeID, requestID: UInt64, PaxosRequest)
        case reply(to: NodeID, from: NodeID, requestID: UInt64, PaxosReply)
        case persisted(slot: Int, life: Int, serial: UInt64)
        case wake(broker: Int, life: Int, Machine)
        case operation(broker: Int)
        case retry(broker: Int, RegisterChange, key: Int, index: Int)
        case crash(slot: Int)
        case wipe
        case restart(slot: Int)
        case reboot(broker: Int)
        case gossip(Roster, toBroker: Int)
        case gossipToSlot(Roster, slot: Int)
        case operate
        case sweep
        case heal
        case lastReads
    }

    /// Whose timer it is.
    enum Machine {
        case proposer
        case driver
        case sweeper
    }

    /// An acceptor and its disk; nil while it is down.
    struct Slot {
        var acceptor: Acceptor?
        var format: UInt64 = 0
        var disk: [AcceptorRecord] = []
        var unwritten: [AcceptorRecord] = []
        var life = 0
        var cut: Range<Int64> = 0..<0
    }

    /// Whom a token of a proposer belongs to.
    enum Owner {
        case operation(key: Int, index: Int, isLast: Bool)
        case driver(UInt64)
    }

    /// A broker: what it proposes with, and what it changes the roster with.
    struct Broker {
        var proposer: Proposer
        var driver: RosterDriver
        var sweeper: Sweeper
        var life = 0
        var tokens: [UInt64: Owner] = [:]
    }

    let plan: VoterPlan
    var generator: SeededGenerator
    var schedule = Schedule<Event>()
    var now: Int64 = 0
    var slots: [Slot] = []
    var brokers: [Broker] = []
    var histories: [History]
    var changes: [RegisterChange] = []
    var retries: [UInt8: Int] = [:]
    var wanted = 0
    var newest: Roster
    let first: Roster
    var isHealed = false
    var lastReadsOpen: Int
    var chosen = 0
    var finished = 0
    var removed = 0
    var held = 0
    var broken = 0
    var nextToken: UInt64 = 0

    static func run(_ plan: VoterPlan, seed: UInt64) -> VoterResult {
        var mesh = VoterMesh(plan, seed: seed)
        mesh.run()
        let judgements = mesh.histories.map(\.judgement)
        return VoterResult(
            isLinearizable: judgements.allSatisfy { $0 == .linearizable },
            isViolated: judgements.contains(.violated),
            isLive: mesh.lastReadsOpen == 0, chosen: mesh.chosen, changes: mesh.finished,
            isComplete: mesh.wanted == plan.changes.count, removed: mesh.removed, held: mesh.held,
            broken: mesh.broken)
    }

    static func key(_ index: Int) -> String { "topic/\(index)" }

    static func voter(_ slot: Int, _ format: UInt64) -> Voter {
        Voter(
            node: NodeID(Int32(slot)), store: StoreID(high: UInt64(slot), low: format),
            key: PublicKey(words: InlineWords4(UInt64(slot), 2, 3, 4)))
    }

    init(_ plan: VoterPlan, seed: UInt64) {
        self.plan = plan
        generator = SeededGenerator(seed: seed)
        histories = .init(repeating: History(), count: plan.keys)
        lastReadsOpen = plan.keys
        first = Roster(
            generation: RosterGeneration(1), voters: plan.voters.map { Self.voter($0, 0) },
            cluster: "c")
        newest = first
        slots = .init(repeating: Slot(), count: plan.slots)
        for index in 0..<plan.proposers { brokers.append(broker(index, life: 0, roster: first)) }
        found()
        for slot in slots.indices { restart(slot) }
        for _ in 0..<plan.cuts {
            let start = time()
            slots[random(plan.slots)].cut = start..<start + 50 + Int64(random(150))
        }
        sow()
    }

    /// Everything that the plan has happen, at random times.
    private mutating func sow() {
        for _ in 0..<plan.operations {
            schedule.add(.operation(broker: random(plan.proposers)), at: time())
        }
        for _ in 0..<plan.acceptorCrashes where chance(50) {
            schedule.add(.crash(slot: random(plan.slots)), at: time())
        }
        for _ in 0..<plan.proposerCrashes where chance(50) {
            schedule.add(.reboot(broker: random(plan.proposers)), at: time())
        }
        for _ in 0..<plan.wipes { schedule.add(.wipe, at: time()) }
        if plan.sweeps { schedule.add(.sweep, at: 100) }
        schedule.add(.operate, at: 30)
        schedule.add(.heal, at: plan.length)
        schedule.add(.lastReads, at: plan.length + 1500)
    }

    mutating func random(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
    mutating func chance(_ percent: Int) -> Bool { random(100) < percent }
    private mutating func time() -> Int64 { Int64(random(Int(plan.length))) }

    func broker(_ index: Int, life: Int, roster: Roster) -> Broker {
        var patience = Proposer.Configuration()
        patience.roundTimeoutMilliseconds = plan.roundTimeout
        patience.deadlineMilliseconds = 4 * plan.roundTimeout
        patience.backoffMillisecondsMaximum = 40
        patience.rankMilliseconds = 20
        patience.restGridMilliseconds = 1
        var driving = RosterDriver.Configuration()
        driving.resendMilliseconds = 40
        driving.probeMilliseconds = 200
        driving.registersPerPage = 1
        var sweeping = Sweeper.Configuration()
        sweeping.resendMilliseconds = 40
        sweeping.patienceMilliseconds = 300
        let seed = UInt64(index) << 8 + UInt64(life)
        let node = NodeID(Int32(100 + index))
        let boot = BootEpoch(UInt64(life + 1))
        return Broker(
            proposer: Proposer(
                node: node, boot: boot, roster: roster, seed: seed, configuration: patience,
                rules: plan.rules),
            driver: RosterDriver(
                node: node, boot: boot, seed: seed + 77, configuration: driving,
                rules: plan.rules),
            sweeper: Sweeper(
                node: node, seed: seed + 99, configuration: sweeping, rules: plan.rules),
            life: life)
    }

    mutating func run() {
        while let (time, event) = schedule.next() {
            now = time
            if time > plan.length + 6000 { break }
            if lastReadsOpen == 0, wanted == plan.changes.count { break }
            step(event)
        }
    }

    private mutating func step(_ event: Event) {
        switch event {
        case .request(let slot, let from, let requestID, let request):
            feed(slot, .request(from: from, requestID: requestID, request))
        case .reply(let to, let from, let requestID, let reply):
            let index = Int(to.rawValue) - 100
            feed(index, .reply(from: from, requestID: requestID, reply))
            feed(driver: index, .reply(from: from, requestID: requestID, reply))
            feed(sweeper: index, .reply(from: from, requestID: requestID, reply))
        case .persisted(let slot, let life, let serial):
            guard slots[slot].life == life else { return }
            slots[slot].disk += slots[slot].unwritten
            slots[slot].unwritten = []
            feed(slot, .persisted(serial: serial))
        case .wake(let index, let life, let machine):
            guard brokers[index].life == life else { return }
            switch machine {
            case .proposer: feed(index, .wake)
            case .driver: feed(driver: index, .wake)
            case .sweeper: feed(sweeper: index, .wake)
            }
        case .operation(let index): begin(index)
        case .retry(let index, let change, let key, let number):
            let owner = Owner.operation(key: key, index: number, isLast: false)
            start(index, owner, .propose(token: 0, [change]))
        case .crash(let slot): crash(slot)
        case .wipe: wipe()
        case .restart(let slot): restart(slot)
        case .reboot(let index): reboot(index)
        case .gossip(let roster, let index): feed(index, .rosterChanged(roster))
        case .gossipToSlot(let roster, let slot): feed(slot, .adopt(roster))
        case .operate: operate()
        case .sweep: sweep()
        case .heal: heal()
        case .lastReads: for key in 0..<plan.keys { startRead(0, key, isLast: true) }
        }
    }

    mutating func feed(_ slot: Int, _ input: Acceptor.Input) {
        guard slots[slot].acceptor != nil else { return }
        var effects: [Acceptor.Effect] = []
        // Asked once for each message, because a closure can't draw numbers here.
        let hold: Int64
        if case .request(_, _, let request) = input, case .accept = request.body, !isHealed,
            plan.holds > 0, chance(plan.holds)
        {
            hold = Int64(1 + random(plan.holdLength))
            held += 1
        } else {
            hold = 0
        }
        let before = hold > 0 ? slots[slot].acceptor : nil
        slots[slot].acceptor?.handle(
            input, holding: { $0.key == Roster.key ? 0 : hold }, into: &effects)
        if hold > 0 { checkHold(slot, input, before) }
        for effect in effects {
            switch effect {
            case .persist(let serial, let records):
                slots[slot].unwritten = records
                let event = Event.persisted(slot: slot, life: slots[slot].life, serial: serial)
                schedule.add(event, at: now + 1 + Int64(random(chance(plan.slowSyncs) ? 40 : 4)))
            case .reply(let to, let requestID, let reply):
                let from = NodeID(Int32(slot))
                transmit(.reply(to: to, from: from, requestID: requestID, reply), slot)
            case .halted: break
            }
        }
    }

    /// What is held back is not accepted; what was accepted before is only said again.
    private mutating func checkHold(_ slot: Int, _ input: Acceptor.Input, _ before: Acceptor?) {
        guard case .request(_, _, let request) = input,
            case .accept(let ballot, let proposals) = request.body
        else { return }
        for key in proposals.map(\.key) where key != Roster.key {
            let known = before?.state(of: key).acceptedBallot
            let now = slots[slot].acceptor?.state(of: key).acceptedBallot
            if now == ballot, known != ballot { broken += 1 }
        }
    }

    mutating func feed(_ index: Int, _ input: Proposer.Input) {
        var effects: [Proposer.Effect] = []
        let instant = Instant(nanoseconds: now * 1_000_000)
        brokers[index].proposer.handle(input, now: instant, into: &effects)
        for effect in effects {
            switch effect {
            case .send(let to, let requestID, let request):
                send(index, to, requestID, request)
            case .wake(let at): wake(index, at, .proposer)
            case .done(let token, let outcomes): end(index, token, outcomes[0])
            case .rosterLearned: break
            }
        }
    }

    mutating func feed(driver index: Int, _ input: RosterDriver.Input) {
        var effects: [RosterDriver.Effect] = []
        let instant = Instant(nanoseconds: now * 1_000_000)
        brokers[index].driver.handle(input, now: instant, into: &effects)
        for effect in effects {
            switch effect {
            case .propose(let token, let change):
                start(index, .driver(token), .propose(token: 0, [change]))
            case .read(let token, let key): start(index, .driver(token), .read(token: 0, [key]))
            case .send(let to, let requestID, let request):
                send(index, to, requestID, request)
            case .chosen(let roster): spread(roster, from: index)
            case .wake(let at): wake(index, at, .driver)
            case .progress: break
            case .finished(let outcome): finish(outcome)
            }
        }
    }

    mutating func wake(_ index: Int, _ at: Instant, _ machine: Machine) {
        let event = Event.wake(broker: index, life: brokers[index].life, machine)
        schedule.add(event, at: max(now, (at.nanoseconds + 999_999) / 1_000_000))
    }

    mutating func send(
        _ index: Int, _ to: NodeID, _ requestID: UInt64, _ request: PaxosRequest
    ) {
        let slot = Int(to.rawValue)
        let from = NodeID(Int32(100 + index))
        transmit(.request(slot: slot, from: from, requestID: requestID, request), slot)
    }

    /// Loses, doubles and delays.
    private mutating func transmit(_ event: Event, _ slot: Int) {
        if !isHealed, chance(plan.loss) || slots[slot].cut.contains(now) { return }
        repeat {
            let isStuck = !isHealed && chance(plan.stuck)
            let delay = isStuck ? 20 + random(280) : 1 + random(8)
            schedule.add(event, at: now + Int64(delay))
        } while !isHealed && chance(plan.duplication)
    }
}
