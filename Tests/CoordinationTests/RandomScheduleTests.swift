import Coordination
import Model
import NIOCore
import Testing

/// Members that join, crash, leave and commit in an order drawn from a seed, over a log that is
/// slow, refuses, or loses its coordinator.
@Suite struct RandomScheduleTests {
    @Test(
        "No schedule breaks an invariant, and all who live end in one stable generation",
        arguments: Array(0..<300 as Range<UInt64>))
    func schedule(seed: UInt64) throws {
        var world = World(seed: seed)
        for _ in 0..<400 { try world.step() }
        try world.settle()
    }

    @Test("The same seed gives the same log and the same replies")
    func determinism() throws {
        func run() throws -> World {
            var world = World(seed: 4_711)
            for _ in 0..<400 { try world.step() }
            try world.settle()
            return world
        }
        let (one, two) = (try run(), try run())
        #expect(one.slot.log == two.slot.log)
        #expect(one.slot.replies == two.slot.replies)
    }
}

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
}

/// The slot, its clients, and what they must never see.
private struct World {
    var slot: Slot
    private var clients: [Client] = []
    private var chance: SeededGenerator
    /// What acknowledged appends have said of each partition.
    private var committed: [Int32: Int64] = [:]
    /// The one assignment of each generation, by the number that its leader drew.
    private var assignments: [Era: String] = [:]
    private var deletions = 0
    private var highestStable: Int32 = 0

    init(seed: UInt64) {
        chance = SeededGenerator(seed: seed)
        slot = Slot(seed: seed) { configuration in
            configuration.offsetRetentionMilliseconds = 90_000
            configuration.offsetRetentionCheckMilliseconds = 20_000
            configuration.maximumMembersPerGroup = 5
        }
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
        case 38: slot.input(.wake)
        default: try removeSomething()
        }
        try checkOffsets()
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
        #expect(try hasConverged(), "\(clients)")
        try checkOffsets()
        let sent = slot.sentCount
        slot.input(.unload)
        #expect(slot.replies.count == sent, "every request has one reply")
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
                Issue.record("unreadable record")
                continue
            }
            switch content {
            case .offset(let key, let value):
                committed[key.partition.rawValue] = value?.offset.rawValue
            case .group(_, let value?):
                #expect(value.generation >= highestStable, "generations do not go back")
                highestStable = value.generation
            case .group:
                // Its name is free, and a group that takes it counts from the beginning.
                highestStable = 0
                deletions += 1
            case .unknown: break
            }
        }
    }

    private mutating func restart() {
        slot.restart()
        committed = [:]
        highestStable = 0
        apply(slot.log)
        #expect(slot.coordinator.unreadableRecords == 0)
    }

    private mutating func crash(_ index: Int) {
        clients[index].isAlive = false
        clients[index].memberID = ""
        clients[index].phase = .away
    }

    private mutating func leave(_ index: Int) throws {
        guard case .active = clients[index].phase else { return }
        let identity = MemberIdentity(
            memberID: clients[index].memberID, groupInstanceID: clients[index].instance)
        _ = try slot.leave(identity)
        crash(index)
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
            #expect(try slot.committed(partition: partition) == committed[partition])
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
            #expect(response.generation > 0)
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
            #expect(response.members.contains { $0.memberID == response.memberID })
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
            #expect(!number.isEmpty)
            #expect(assignments[era, default: number] == number, "two assignments")
            assignments[era] = number
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
            _ = slot.send(
                commit(
                    Int64(draw(1_000)), member: client.memberID, generation: generation,
                    partition: Int32(draw(3)), instance: client.instance))
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
