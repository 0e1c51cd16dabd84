import Gossip
import Model
import NIOCore
import Node
import Paxos
import Testing

/// Gossip, Paxos and admissions put together: what a broker is to its mesh.
@Suite struct MeshTests {
    private func mesh(of count: Int32) throws -> MeshBench { try MeshBench.formed(of: count) }

    private func broker(_ node: Int32, of bench: MeshBench) throws -> MeshBench.Broker {
        try #require(bench.brokers[NodeID(node)])
    }

    private let topic = TopicRecord(
        id: TopicID(high: 1, low: 1), placement: [[copy(2)]], overrides: [:])

    @Test func aFounderDecidesAlone() throws {
        let bench = try mesh(of: 1)
        let founder = try broker(1, of: bench)
        #expect(founder.isLoaded)
        #expect(founder.mesh.proposer.roster?.voters.map(\.node) == [NodeID(1)])
        #expect(founder.mesh.admission(of: NodeID(1))?.number == AdmissionNumber(1))
        #expect(founder.chosen.keys.sorted() == ["members/1", "roster"])
    }

    @Test func everybodyKnowsEverybodyWithinASecondOrTwo() throws {
        let bench = try mesh(of: 4)
        for node: Int32 in 1...4 {
            let known = try broker(node, of: bench)
            #expect(known.members.map(\.entry.id.rawValue) == [1, 2, 3, 4])
            #expect(known.members.map(\.entry.rack) == ["r1", "r2", "r3", "r4"])
            #expect(known.mesh.proposer.roster?.voters.map(\.node) == [NodeID(1)])
        }
        let roots = try (1...4).map { try broker($0, of: bench).mesh.gossip.tableRoot }
        #expect(Set(roots).count == 1)
    }

    @Test func whoeverIsAskedProposesAndAllLearn() throws {
        var bench = try mesh(of: 3)
        let create = RegisterProposal(key: "topic/a", operation: .createTopic(topic))
        bench.tell(3, .propose(7, [create]))
        bench.run(milliseconds: 500)
        let asked = try broker(3, of: bench)
        guard case .chosen(let value)? = asked.decisions[7]?.first else {
            Issue.record("not chosen: \(String(describing: asked.decisions[7]))")
            return
        }
        #expect(value.ballot > .zero && value.ballot.proposer == NodeID(3))
        for node: Int32 in 1...3 {
            #expect(try broker(node, of: bench).learned.contains(value))
            #expect(try broker(node, of: bench).chosen["topic/a"] == value)
        }
        bench.tell(2, .propose(8, [create]))
        bench.run(milliseconds: 500)
        #expect(
            try broker(2, of: bench).decisions[8] == [.refused(.exists, current: value)])
    }

    @Test func aReadFindsWhatGossipDidNotBring() throws {
        var bench = try mesh(of: 2)
        bench.tell(
            1, .propose(1, [RegisterProposal(key: "topic/a", operation: .createTopic(topic))]))
        // Too soon for any rumour: only the register knows.
        bench.tell(2, .read(5, ["topic/a", "topic/none"]))
        bench.run(milliseconds: 50)
        let decisions = try #require(try broker(2, of: bench).decisions[5])
        #expect(decisions.count == 2)
        if case .chosen(let value) = decisions[0] {
            #expect(value.key == "topic/a")
        } else {
            Issue.record("the read did not find it: \(decisions[0])")
        }
        #expect(decisions[1] == .refused(.absent, current: nil))
    }

    @Test func aSlowDiskMakesABrokerDoubtItself() throws {
        var bench = try mesh(of: 2)
        #expect(try broker(1, of: bench).mesh.gossip.healthMultiplier == 0)
        bench.tell(1, .slowDisk)
        #expect(try broker(1, of: bench).mesh.gossip.healthMultiplier == 1)
    }

    /// No time makes room in a table: whoever asks is told at once, and what fits goes on.
    @Test func aFullVoterRefusesAndGoesOn() throws {
        var bench = try mesh(of: 2)
        let create = RegisterProposal(key: "topic/a", operation: .createTopic(topic))
        bench.fill(1, true)
        bench.tell(2, .propose(1, [create]))
        bench.tell(1, .propose(2, [create]))
        bench.run(milliseconds: 100)
        #expect(try broker(2, of: bench).decisions[1] == [.refused(.full, current: nil)])
        #expect(try broker(1, of: bench).decisions[2] == [.refused(.full, current: nil)])
        bench.tell(2, .read(3, ["topic/a"]))
        bench.run(milliseconds: 100)
        #expect(try broker(2, of: bench).decisions[3] == [.refused(.absent, current: nil)])
        bench.fill(1, false)
        bench.tell(2, .propose(4, [create]))
        bench.run(milliseconds: 500)
        guard case .chosen? = try broker(2, of: bench).decisions[4]?.first else {
            Issue.record("the voter did not go on: \(try broker(2, of: bench).decisions)")
            return
        }
        #expect(try broker(1, of: bench).mesh.acceptor?.phase == .serving)
    }

    @Test func withoutTheVoterNothingIsDecidedAndNothingIsClaimed() throws {
        var bench = try mesh(of: 3)
        bench.kill(1)
        bench.tell(
            2, .propose(1, [RegisterProposal(key: "topic/a", operation: .createTopic(topic))]))
        bench.run(milliseconds: 15_000)
        switch try broker(2, of: bench).decisions[1]?.first {
        case .notChosen, .unknown: break
        case let other: Issue.record("decided without a voter: \(String(describing: other))")
        }
        #expect(try broker(2, of: bench).members.map(\.entry.id.rawValue) == [2, 3])
        #expect(try broker(3, of: bench).chosen["topic/a"] == nil)
    }

    @Test func rostersAndFloorsAreNotTakenFromMembers() throws {
        var bench = try mesh(of: 2)
        let voter = Voter(node: NodeID(2), store: MeshBench.store(2), key: MeshBench.key(2))
        let roster = Roster(
            generation: RosterGeneration(1 << 60), voters: [voter], cluster: "cluster")
        let highest = Ballot(counter: .max, proposer: NodeID(2), boot: BootEpoch(1))
        for body: PaxosRequest.Body in [.adopt(roster), .raiseFloor(highest), .remove([])] {
            var bytes = ByteBuffer(integer: UInt64(9))
            PaxosRequest(generation: RosterGeneration(1), store: MeshBench.store(1), body: body)
                .encode(into: &bytes)
            bench.tell(1, .message(from: NodeID(2), .paxosRequest, bytes))
        }
        bench.tell(
            1, .propose(1, [RegisterProposal(key: "topic/a", operation: .createTopic(topic))]))
        bench.run(milliseconds: 200)
        guard case .chosen? = try broker(1, of: bench).decisions[1]?.first else {
            Issue.record("the voter was talked out of its roster")
            return
        }
        #expect(
            try broker(1, of: bench).mesh.acceptor?.roster?.generation == RosterGeneration(1))
    }

    /// A deletion that was chosen just before a crash: the control machine has to see the topic and
    /// then its end, or the topic's files stay for ever.
    @Test func whatTheTableMissedIsNewsAfterAStart() throws {
        var bench = try mesh(of: 1)
        bench.tell(
            1, .propose(1, [RegisterProposal(key: "topic/a", operation: .createTopic(topic))]))
        bench.run(milliseconds: 100)
        let before = bench.memory(of: 1).chosen
        bench.tell(
            1, .propose(2, [RegisterProposal(key: "topic/a", operation: .deleteTopic(topic.id))]))
        bench.run(milliseconds: 100)
        var memory = bench.memory(of: 1)
        memory.chosen = before
        bench.kill(1)
        try bench.start(1, boot: 2, isFounder: true, memory)
        bench.run(milliseconds: 100)
        let restarted = try broker(1, of: bench)
        #expect(restarted.isLoaded)
        #expect(restarted.learned.map(\.key) == ["topic/a"])
        for value in [restarted.learned.first?.value, restarted.chosen["topic/a"]?.value] {
            let record = try TopicRecord(decoding: try #require(value))
            #expect(record.deletion == TopicDeletion())
        }
    }

    @Test func aRevokedMemberIsForgottenEverywhereAtOnce() throws {
        var bench = try mesh(of: 3)
        let revoke = RegisterProposal(key: "members/3", operation: .member(.revoke(NodeID(3))))
        bench.tell(2, .decide(token: 4, revoke))
        bench.run(milliseconds: 500)
        for node: Int32 in 1...2 {
            let other = try broker(node, of: bench)
            #expect(other.forgotten == [NodeID(3)])
            #expect(other.members.map(\.entry.id.rawValue) == [1, 2])
        }
        let again = try bench.join(3, at: 1, seeds: [1])
        #expect(again == .refused("this broker's key was revoked", canRetry: false))
    }

    @Test func aMeshThatWasStoppedKnowsWhatItKnew() throws {
        var bench = try mesh(of: 3)
        bench.tell(
            2, .propose(1, [RegisterProposal(key: "topic/a", operation: .createTopic(topic))]))
        bench.run(milliseconds: 1_000)
        for node: Int32 in 1...3 { bench.kill(node) }
        for node: Int32 in [3, 1, 2] {
            try bench.start(
                node, boot: 2, isFounder: node == 1, seeds: [1], bench.memory(of: node))
        }
        bench.run(milliseconds: 3_000)
        for node: Int32 in 1...3 {
            let restarted = try broker(node, of: bench)
            #expect(restarted.members.map(\.entry.id.rawValue) == [1, 2, 3])
            #expect(restarted.members.map(\.epoch.rawValue) == [2, 2, 2])
            #expect(restarted.mesh.gossip.value("topic/a") != nil)
        }
        bench.tell(
            3, .propose(9, [RegisterProposal(key: "topic/a", operation: .deleteTopic(topic.id))]))
        bench.run(milliseconds: 500)
        bench.tell(
            2, .propose(10, [RegisterProposal(key: "topic/a", operation: .freeName(topic.id))]))
        bench.run(milliseconds: 1_000)
        for node: Int32 in 1...3 {
            #expect(try broker(node, of: bench).chosen["topic/a"]?.value == nil)
        }
    }

    @Test func aVoterThatLostItsTableFindsItInItsRegisters() throws {
        var bench = try mesh(of: 1)
        bench.tell(
            1, .propose(1, [RegisterProposal(key: "topic/a", operation: .createTopic(topic))]))
        bench.run(milliseconds: 100)
        var memory = bench.memory(of: 1)
        memory.chosen = []
        bench.kill(1)
        try bench.start(1, boot: 2, isFounder: true, memory)
        bench.run(milliseconds: 100)
        let restarted = try broker(1, of: bench)
        #expect(restarted.isLoaded)
        #expect(restarted.mesh.gossip.value("topic/a") != nil)
        #expect(restarted.mesh.admission(of: NodeID(1)) != nil)
    }
}

/// What travels when a broker is let in.
@Suite struct JoinAnswerTests {
    private let answers: [JoinAnswer] = [
        .refused("no", canRetry: true),
        .admitted(
            node: NodeID(5), cluster: "abc",
            values: [
                ChosenValue(
                    key: "members/5",
                    ballot: Ballot(counter: 3, proposer: NodeID(1), boot: BootEpoch(2)),
                    value: ByteBuffer(string: "x")),
                ChosenValue(key: "roster", ballot: .zero, value: nil),
            ]),
    ]

    @Test func answersAreReadAsTheyWereWritten() throws {
        for answer in answers {
            let bytes = answer.encoded()
            #expect(try JoinAnswer(decoding: bytes) == answer)
            for length in 0..<bytes.readableBytes {
                let prefix = try #require(bytes.getSlice(at: 0, length: length))
                #expect(throws: JoinAnswer.DecodeError.self) { try JoinAnswer(decoding: prefix) }
            }
        }
    }

    /// Found by fuzzing: the repaired text was longer than its length could say.
    @Test func bytesThatAreNoTextAreRefused() {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(UInt8(1), UInt8(1), Int32(1), UInt8(254))
        bytes.writeRepeatingByte(0xFF, count: 254)
        bytes.writeInteger(UInt32(0))
        #expect(throws: JoinAnswer.DecodeError.truncated) { try JoinAnswer(decoding: bytes) }
        var record = ByteBuffer()
        record.writeMultipleIntegers(UInt8(2), UInt64(1), UInt64(2), UInt16(1), UInt16(40_000))
        record.writeRepeatingByte(0xFF, count: 40_000)
        record.writeMultipleIntegers(UInt16(0), Int32(1), Int32(1), UInt8(1), Int32(1))
        #expect(throws: TopicRecord.DecodeError.truncated) { try TopicRecord(decoding: record) }
    }

    @Test func lengthsAreNotBelieved() {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(UInt8(1), UInt8(1), Int32(1), UInt8(0), UInt32.max)
        #expect(throws: JoinAnswer.DecodeError.outOfRange) { try JoinAnswer(decoding: bytes) }
    }
}
