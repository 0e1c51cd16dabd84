import Model
import Paxos
import Testing

@testable import Node

@Suite("Voter policy: three of the healthy, in distinct racks, and heirs for the lost")
struct VoterPolicyTests {
    private let now = Instant(nanoseconds: 10_000_000_000_000)

    private func voter(_ node: Int32, store: UInt64 = 0) -> Voter {
        Voter(
            node: NodeID(node), store: StoreID(high: 1, low: UInt64(node) + store),
            key: PublicKey(words: InlineWords4(UInt64(node), 0, 0, 0)))
    }

    private func candidate(
        _ node: Int32, _ condition: VoterPolicy.Condition = .healthy, rack: String = "",
        store: UInt64 = 0, mayVote: Bool = true
    ) -> VoterPolicy.Candidate {
        VoterPolicy.Candidate(
            voter: voter(node, store: store), rack: rack, condition: condition,
            isEligible: mayVote)
    }

    private func roster(_ nodes: [Int32]) -> Roster {
        Roster(
            generation: RosterGeneration(1), voters: nodes.map { voter($0) }, cluster: "c")
    }

    private func wish(
        _ nodes: [Int32], _ candidates: [VoterPolicy.Candidate], target: Int = 3,
        rested: Bool = true
    ) -> [Int32]? {
        let last = rested ? now.advanced(byMilliseconds: -60_000) : now
        return VoterPolicy(settings: VoterSettings(target: target)).wish(
            for: roster(nodes), candidates, lastChange: last, now: now
        )?.map(\.node.rawValue).sorted()
    }

    @Test("The third healthy broker makes one voter three, at once")
    func firstPromotion() {
        #expect(wish([1], [candidate(1)]) == nil)
        #expect(wish([1], [candidate(1), candidate(2)]) == nil)
        let three = [candidate(1), candidate(2), candidate(3), candidate(4)]
        #expect(wish([1], three, rested: false) == [1, 2, 3])
        #expect(wish([1, 2, 3], three) == nil)
        #expect(wish([1], [candidate(1), candidate(2), candidate(3, .doubtful)]) == nil)
    }

    @Test("Five are wanted: from three only after a pause, and never four")
    func five() {
        let five = (1...5).map { candidate($0) }
        #expect(wish([1, 2, 3], five, target: 5, rested: false) == nil)
        #expect(wish([1, 2, 3], five, target: 5) == [1, 2, 3, 4, 5])
        #expect(wish([1, 2, 3], Array(five.prefix(4)), target: 5) == nil)
        #expect(wish([1], five, target: 5, rested: false) == [1, 2, 3, 4, 5])
    }

    @Test("Distinct racks come first")
    func racks() {
        let sites = [
            candidate(1, rack: "a"), candidate(2, rack: "a"), candidate(3, rack: "b"),
            candidate(4, rack: "c"),
        ]
        #expect(wish([1], sites) == [1, 3, 4])
    }

    @Test("A voter that is away is replaced after ten minutes, while a majority is well")
    func replacement() {
        let shortly = VoterPolicy.Condition.absent(since: now.advanced(byMilliseconds: -599_000))
        let long = VoterPolicy.Condition.absent(since: now.advanced(byMilliseconds: -600_000))
        let others = [candidate(1), candidate(2), candidate(4)]
        #expect(wish([1, 2, 3], others + [candidate(3, shortly)]) == nil)
        #expect(wish([1, 2, 3], others + [candidate(3, long)]) == [1, 2, 4])
        #expect(wish([1, 2, 3], others + [candidate(3, long)], rested: false) == nil)
        let two = [candidate(1), candidate(2, long), candidate(3, long), candidate(4)]
        #expect(wish([1, 2, 3], two) == nil)
    }

    @Test("A broker that only holds data never votes, and gives way where it does")
    func roles() {
        let data = (1...3).map { candidate($0, mayVote: false) }
        #expect(wish([1], data) == nil)
        #expect(wish([1], data + [candidate(4)]) == [4])
        #expect(wish([1], data + [candidate(4)], rested: false) == nil)
        #expect(wish([1], data + [candidate(4), candidate(5)]) == [1, 4, 5])
        #expect(wish([1, 4, 5], data + [candidate(4), candidate(5)]) == nil)
        #expect(wish([1, 4, 5], data + (4...6).map { candidate($0) }) == [4, 5, 6])
    }

    @Test("One voter is wanted: it stays one, and is nobody but who may vote")
    func central() {
        let data = [candidate(1, mayVote: false), candidate(2, mayVote: false)]
        #expect(wish([3], data + [candidate(3)], target: 1) == nil)
        #expect(wish([1], data + [candidate(3)], target: 1) == [3])
        let away = VoterPolicy.Condition.absent(since: now.advanced(byMilliseconds: -3_600_000))
        #expect(wish([3], data + [candidate(3, away), candidate(4)], target: 1) == nil)
        // More voters than are wanted are an operator's doing.
        let three = (1...3).map { candidate($0) }
        #expect(wish([1, 2, 3], three, target: 1) == nil)
    }

    @Test("A voter is replaced as soon as its operator said")
    func replaceAfter() {
        let away = VoterPolicy.Condition.absent(since: now.advanced(byMilliseconds: -5_000))
        let sites = [candidate(1), candidate(2), candidate(3, away), candidate(4)]
        let hasty = VoterPolicy(settings: VoterSettings(replaceAfterMilliseconds: 5_000))
        let last = now.advanced(byMilliseconds: -60_000)
        let next = hasty.wish(for: roster([1, 2, 3]), sites, lastChange: last, now: now)
        #expect(next?.map(\.node.rawValue) == [1, 2, 4])
        #expect(wish([1, 2, 3], sites) == nil)
    }

    @Test("A wiped voter is replaced by itself with its new store")
    func wiped() {
        let sites = [candidate(1), candidate(2), candidate(3, store: 100), candidate(4)]
        // At once: until then another lost disk would be one too many.
        for last in [nil, now, now.advanced(byMilliseconds: -60_000)] {
            let next = VoterPolicy().wish(
                for: roster([1, 2, 3]), sites, lastChange: last, now: now)
            #expect(next?.contains(voter(3, store: 100)) == true)
            #expect(next?.count == 3)
        }
        let ill = sites.dropLast(2) + [candidate(3, .doubtful, store: 100), candidate(4)]
        #expect(
            VoterPolicy().wish(for: roster([1, 2, 3]), Array(ill), lastChange: now, now: now)
                == nil)
    }

    private func asked(
        _ change: VoterChange, _ nodes: [Int32], _ candidates: [VoterPolicy.Candidate],
        target: Int? = 3
    ) -> [Int32]? {
        let policy = VoterPolicy(settings: VoterSettings(target: target))
        let next: [Voter]?
        switch change {
        case .add(let node): next = try? policy.adding(node, to: roster(nodes), candidates)
        case .remove(let node): next = try? policy.removing(node, from: roster(nodes), candidates)
        case .finish, .rollBack: next = nil
        }
        return next?.map(\.node.rawValue).sorted()
    }

    @Test("An operator adds whom nothing speaks against")
    func adding() {
        let sites = [
            candidate(1), candidate(2), candidate(3), candidate(4, .doubtful),
            candidate(5, mayVote: false), candidate(2, store: 100),
        ]
        #expect(asked(.add(NodeID(2)), [1], Array(sites.prefix(5))) == [1, 2])
        #expect(asked(.add(NodeID(1)), [1], sites) == nil, "it votes already")
        #expect(asked(.add(NodeID(4)), [1], sites) == nil, "it is not there")
        #expect(asked(.add(NodeID(5)), [1], sites) == nil, "its roles say no")
        #expect(asked(.add(NodeID(9)), [1], sites) == nil, "nobody knows it")
        #expect(asked(.add(NodeID(2)), [1, 2], [candidate(1), candidate(2, store: 9)]) == nil)
        #expect(asked(.add(NodeID(8)), Array(1...7), (1...8).map { candidate($0) }) == nil)
    }

    @Test("An operator removes a voter: another takes its place where the mesh keeps a number")
    func removing() {
        let four = (1...4).map { candidate($0) }
        #expect(asked(.remove(NodeID(1)), [1, 2, 3], four) == [2, 3, 4])
        #expect(asked(.remove(NodeID(1)), [1, 2, 3], four, target: nil) == [2, 3])
        #expect(asked(.remove(NodeID(4)), [1, 2, 3, 4], four) == [1, 2, 3])
        #expect(asked(.remove(NodeID(4)), [1, 2, 3], four) == nil, "it does not vote")
        // The mesh would make it a voter again within a minute.
        #expect(asked(.remove(NodeID(1)), [1, 2, 3], Array(four.prefix(3))) == nil)
        let away = VoterPolicy.Condition.absent(since: now)
        #expect(
            asked(.remove(NodeID(1)), [1, 2, 3], [candidate(1, away)] + four[1...2]) == [2, 3])
        #expect(
            asked(.remove(NodeID(1)), [1, 2, 3], [candidate(1, mayVote: false)] + four[1...2])
                == [2, 3])
        #expect(asked(.remove(NodeID(1)), [1], [candidate(1)], target: nil) == nil, "the only one")
        #expect(asked(.remove(NodeID(1)), [1], [candidate(1), candidate(2)], target: 1) == [2])
    }

    @Test("A fixed roster and one that changes are left alone")
    func leftAlone() {
        let three = (1...3).map { candidate($0) }
        var policy = VoterPolicy()
        policy.settings.target = nil
        #expect(policy.wish(for: roster([1]), three, lastChange: nil, now: now) == nil)
        let joint = Roster(
            generation: RosterGeneration(2), voters: [voter(1)], next: [voter(1), voter(2)],
            cluster: "c")
        #expect(VoterPolicy().wish(for: joint, three, lastChange: nil, now: now) == nil)
    }
}
