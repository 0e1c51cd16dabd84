import Coordination
import Model
import NIOCore

/// A generation, told apart from the same number in a group that was deleted since.
private struct Era: Hashable {
    var deletions: Int
    var generation: Int32
}

/// A consumer as a client library runs it, driven by hand.
private struct Client {
    enum Phase {
        case away
        case joining(RequestToken)
        case joined(GroupResponse.Join)
        case syncing(RequestToken, Era)
        case active(generation: Int32)
    }

    var memberID = ""
    var instance: String?
    var phase = Phase.away
    var isAlive = true
    /// Its process before, which may not know that it is over.
    var ghost: Ghost?
}

/// A process that others hold for gone, as it saw itself last.
private struct Ghost {
    let memberID: String
    let generation: Int32
    let hasLeft: Bool
}

/// The slot, its clients, and what they must never see.
struct GroupWorld {
    var slot: Slot
    private var clients: [Client] = []
    private var chance: SeededGenerator
    /// What acknowledged appends have said of each partition.
    private var committed: [Int32: Int64] = [:]
    /// The one assignment of each generation, by the number that its leader drew.
    private var assignments: [Era: String] = [:]
    private var deletions = 0
    private var highestStable: Int32 = 0
    /// The newest generation whose assignment somebody was given.
    private var newest: Era?
    /// Commits of members that were replaced or left, and of generations that are over: none may
    /// be taken.
    private var lateCommits: [(token: RequestToken, whose: String)] = []
    /// The first thing that was wrong.
    private(set) var violation: String?

    /// A whole schedule.
    static func run(seed: UInt64, rules: GroupRules = GroupRules()) -> GroupWorld {
        var world = GroupWorld(seed: seed, rules: rules)
        do {
            for _ in 0..<400 where world.violation == nil { try world.step() }
            if world.violation == nil { try world.settle() }
        } catch { world.check(false, "a request was not answered: \(error)") }
        return world
    }

    private mutating func check(_ holds: Bool, _ what: String) {
        if !holds, violation == nil { violation = what }
    }

    init(seed: UInt64, rules: GroupRules) {
        chance = SeededGenerator(seed: seed)
        slot = Slot(seed: seed, rules: rules) { configuration in
            configuration.offsetRetentionMilliseconds = 90_000
            configuration.offsetRetentionCheckMilliseconds = 20_000
            configuration.maximumMembersPerGroup = 5
        }
        slot.isSearched = true
        slot.holdsAppends = true
        for index in 0..<5 {
            clients.append(Client(instance: index % 2 == 0 ? nil : "instance-\(index)"))
        }
    }

    private mutating func draw(_ bound: Int) -> Int { Int(chance.next() % UInt64(bound)) }

    /// One random thing happens.
    mutating func step() throws {
        let index = draw(clients.count)
        switch draw(40) {
        case 0..<20: try act(index)
        case 20..<29: acknowledgeOne()
        case 29..<33: advance(draw(2_000))
        case 33: advance(draw(15_000))
        case 34: crash(index)
        case 35: clients[index].isAlive = true
        case 36: try leave(index)
        case 37: if draw(4) == 0 { restart() }
        case 38: if draw(2) == 0 { slot.input(.wake) } else { haunt(index) }
        default: try removeSomething()
        }
        try checkOffsets()
        checkLateCommits()
    }

    /// No more faults: whoever lives must come to work.
    mutating func settle() throws {
        while !slot.held.isEmpty { acknowledgeOne(error: nil) }
        for index in clients.indices where draw(3) > 0 { clients[index].isAlive = true }
        clients[0].isAlive = true
        var rounds = 0
        while try !hasConverged(), rounds < 1_500 {
            rounds += 1
            for index in clients.indices where clients[index].isAlive {
                try act(index, maySlack: false)
                while !slot.held.isEmpty { acknowledgeOne(error: nil) }
            }
            advance(400)
            while !slot.held.isEmpty { acknowledgeOne(error: nil) }
        }
        let isStable = try hasConverged()
        check(isStable, "no stable generation of all who live: \(clients)")
        try checkOffsets()
        let sent = slot.sentCount
        slot.input(.unload)
        check(slot.replies.count == sent, "\(slot.replies.count) replies to \(sent) requests")
    }

    /// Whether all who live, and nobody else, are in one stable generation.
    private mutating func hasConverged() throws -> Bool {
        var generations: Set<Int32> = []
        var members: [String] = []
        for client in clients where client.isAlive {
            guard case .active(let generation) = client.phase else { return false }
            generations.insert(generation)
            members.append(client.memberID)
        }
        let described = try slot.describe()
        return generations.count == 1 && described.state == .stable
            && described.members.map(\.memberID).sorted() == members.sorted()
    }

    // MARK: What happens

    private mutating func advance(_ milliseconds: Int) {
        slot.advance(milliseconds: Int64(milliseconds))
    }

    private mutating func acknowledgeOne() {
        guard !slot.held.isEmpty else { return }
        let error: AppendError? = draw(12) == 0 ? AppendError.allCases[draw(4)] : nil
        acknowledgeOne(error: error)
    }

    private mutating func acknowledgeOne(error: AppendError?) {
        // A record whose acknowledgement timed out may be in the log all the same.
        if error == .timedOut && draw(2) == 0 {
            slot.log.append(contentsOf: slot.held[0].records)
        }
        if error == nil { apply(slot.held[0].records) }
        slot.acknowledge(error)
    }

    private mutating func apply(_ records: [SlotRecord]) {
        for record in records {
            guard let content = try? record.content() else {
                check(false, "unreadable record")
                continue
            }
            switch content {
            case .offset(let key, let value):
                committed[key.partition.rawValue] = value?.offset.rawValue
            case .group(_, let value?):
                check(value.generation >= highestStable, "the generation goes back")
                highestStable = value.generation
            case .group:
                // Its name is free, and a group that takes it counts from the beginning.
                highestStable = 0
                deletions += 1
            case .unknown: break
            }
        }
    }

    /// Who left may be a member again: what the log did not have of it yet is lost.
    private mutating func restart() {
        for index in clients.indices where clients[index].ghost?.hasLeft == true {
            clients[index].ghost = nil
        }
        committed = [:]
        highestStable = 0
        apply(slot.log)
        // Somebody asks while the slot is being read.
        slot.restart(after: draw(slot.log.count + 1)) { slot in
            _ = slot.send(.fetchOffsets(GroupRequest.FetchOffsets(groupID: "g", topics: nil)))
        }
        if case .fetchOffsets(let early)? = slot.replies[RequestToken(slot.lastToken)],
            early.error == nil
        {
            let known = early.topics.flatMap(\.partitions).compactMap { partition in
                partition.offset.map { (partition.index.rawValue, $0.rawValue) }
            }
            check(
                Dictionary(uniqueKeysWithValues: known) == committed,
                "\(known) is told, and \(committed) was committed")
        }
        check(slot.coordinator.unreadableRecords == 0, "unreadable records")
    }

    private mutating func crash(_ index: Int, leaves: Bool = false) {
        if case .active(let generation) = clients[index].phase {
            clients[index].ghost = Ghost(
                memberID: clients[index].memberID, generation: generation, hasLeft: leaves)
        }
        clients[index].isAlive = false
        clients[index].memberID = ""
        clients[index].phase = .away
    }

    private mutating func leave(_ index: Int) throws {
        guard case .active = clients[index].phase else { return }
        let identity = MemberIdentity(
            memberID: clients[index].memberID, groupInstanceID: clients[index].instance)
        _ = try slot.leave(identity)
        crash(index, leaves: true)
    }

    private mutating func removeSomething() throws {
        switch draw(4) {
        case 0: slot.input(.topicsDeleted(["t"]))
        case 1: _ = slot.send(.delete(GroupRequest.Delete(groupID: "g")))
        default:
            let topic = Topic(name: "t", partitions: [PartitionIndex(Int32(draw(3)))])
            _ = slot.send(
                .deleteOffsets(GroupRequest.DeleteOffsets(groupID: "g", topics: [topic])))
        }
    }

    private mutating func checkOffsets() throws {
        for partition in 0..<3 as Range<Int32> {
            let told = try slot.committed(partition: partition)
            check(
                told == committed[partition],
                "\(told ?? -1) is told of partition \(partition), and "
                    + "\(committed[partition] ?? -1) was committed")
        }
        if let complaint = slot.complaint { check(false, complaint) }
    }

    private mutating func checkLateCommits() {
        for late in lateCommits {
            guard case .commitOffsets(let topics)? = slot.replies[late.token] else { continue }
            check(topics[0].partitions[0].error != nil, "\(late.whose) commits")
        }
        lateCommits.removeAll { slot.replies[$0.token] != nil }
    }

    /// A process that everybody holds for gone commits what it did.
    private mutating func haunt(_ index: Int) {
        let client = clients[index]
        guard let ghost = client.ghost else { return }
        var isReplaced = false
        if client.instance != nil, client.memberID != ghost.memberID,
            case .active = client.phase
        {
            isReplaced = true
        }
        let token = slot.send(
            commit(
                Int64(draw(1_000)), member: ghost.memberID, generation: ghost.generation,
                partition: Int32(draw(3)), instance: client.instance))
        if ghost.hasLeft {
            lateCommits.append((token, "a member that left"))
        } else if isReplaced {
            lateCommits.append((token, "a member that was replaced"))
        }
    }

    // MARK: What a client does next

    private mutating func act(_ index: Int, maySlack: Bool = true) throws {
        guard clients[index].isAlive else { return }
        switch clients[index].phase {
        case .away:
            let names = maySlack && draw(5) == 0 ? ["t", "u"] : ["t"]
            let metadata = names.count == 2 ? subscription("t", "u") : subscription("t")
            let request = join(
                clients[index].memberID, instance: clients[index].instance, rebalance: 20_000,
                protocols: [
                    MemberProtocol(name: "range", metadata: metadata),
                    MemberProtocol(name: "sticky", metadata: metadata),
                ], known: index != 2, skips: true)
            clients[index].phase = .joining(slot.send(.join(request)))
        case .joining(let token):
            guard slot.replies[token] != nil else { return }
            take(try slot.joined(token), index)
        case .joined(let response):
            try sync(response, index)
        case .syncing(let token, let era):
            guard slot.replies[token] != nil else { return }
            take(try slot.synced(token), era, index)
        case .active(let generation):
            try work(generation, index)
        }
    }

    private mutating func take(_ response: GroupResponse.Join, _ index: Int) {
        switch response.error {
        case nil:
            check(response.generation > 0, "a generation of none")
            clients[index].memberID = response.memberID
            clients[index].phase = .joined(response)
        case .memberIDRequired:
            clients[index].memberID = response.memberID
            clients[index].phase = .away
        case .unknownMemberID, .fencedInstanceID, .groupMaxSizeReached:
            clients[index].memberID = ""
            clients[index].phase = .away
        default:
            clients[index].phase = .away
        }
    }

    private mutating func sync(_ response: GroupResponse.Join, _ index: Int) throws {
        let isLeader = response.leaderID == response.memberID && !response.skipsAssignment
        var assign: [String: String] = [:]
        if isLeader {
            check(
                response.members.contains { $0.memberID == response.memberID },
                "the leader is no member")
            let number = chance.next()
            for member in response.members { assign[member.memberID] = "\(number)" }
        }
        let token = slot.sync(
            clients[index].memberID, response.generation, instance: clients[index].instance,
            assign: assign)
        clients[index].phase = .syncing(
            token, Era(deletions: deletions, generation: response.generation))
    }

    private mutating func take(_ response: GroupResponse.Sync, _ era: Era, _ index: Int) {
        switch response.error {
        case nil:
            let number = String(buffer: response.assignment)
            check(!number.isEmpty, "an empty assignment")
            check(
                assignments[era, default: number] == number,
                "two assignments of generation \(era.generation)")
            assignments[era] = number
            if newest.map({ $0.deletions < era.deletions || $0.generation < era.generation })
                ?? true
            {
                newest = era
            }
            clients[index].phase = .active(generation: era.generation)
        case .unknownMemberID, .fencedInstanceID, .illegalGeneration:
            clients[index].memberID = ""
            clients[index].phase = .away
        default:
            clients[index].phase = .away
        }
    }

    private mutating func work(_ generation: Int32, _ index: Int) throws {
        let client = clients[index]
        if draw(3) == 0 {
            // Now and then one that was on its way since the generation before.
            let isLate = draw(8) == 0 && generation > 1
            let token = slot.send(
                commit(
                    Int64(draw(1_000)), member: client.memberID,
                    generation: isLate ? generation - 1 : generation,
                    partition: Int32(draw(3)), instance: client.instance))
            if isLate, newest == Era(deletions: deletions, generation: generation) {
                lateCommits.append((token, "generation \(generation - 1) after the next"))
            }
        }
        switch try slot.heartbeat(client.memberID, generation, instance: client.instance) {
        case nil: break
        case .rebalanceInProgress: clients[index].phase = .away
        default:
            clients[index].memberID = ""
            clients[index].phase = .away
        }
    }
}
