import Model
import NIOCore
import Testing

@testable import Replication

private typealias F = Fixture

/// Who is elected, and who is not.
@Suite struct ElectionTests {
    @Test func aRegisterThatWasNeverWrittenMeansAsPlaced() {
        let state = F.state([3, 1, 2])
        #expect(state.leader == NodeID(3))
        #expect(state.leaderEpoch == LeaderEpoch(0))
        #expect(state.partitionEpoch == .initial)
        #expect(state.inSync == [F.id(3), F.id(1), F.id(2)])
    }

    @Test("Reference 11: ISR with matching log epochs, in placement order")
    func theFirstInSyncMemberThatLivesIsElected() throws {
        let state = F.state()
        let members = [F.member(F.id(1), alive: false), F.member(F.id(2)), F.member(F.id(3))]
        #expect(state.eligible(among: members) == [F.id(2), F.id(3)])
        #expect(state.elected(F.id(3), members) == .failure(.notFirst(NodeID(2))))
        let next = try state.elected(F.id(2), members).get()
        #expect(next.leader == NodeID(2))
        #expect(next.leaderEpoch == LeaderEpoch(1))
        #expect(next.partitionEpoch == PartitionEpoch(1))
        #expect(next.deposed == F.id(1))
        #expect(!next.consented)
        #expect(next.inSync == [F.id(2), F.id(3)], "nobody waits for whom everybody doubts")
        #expect(next.lastEligible == [])
    }

    @Test func whoIsDoubtedStaysWhereTooFewWouldBeLeft() throws {
        let members = [F.member(F.id(1), alive: false), F.member(F.id(2)), F.member(F.id(3))]
        let three = try F.state().elected(F.id(2), members, minInSync: 3).get()
        #expect(three.inSync == [F.id(1), F.id(2), F.id(3)])
        let alone = [F.member(F.id(1), alive: false), F.member(F.id(2))]
        let one = try F.state().elected(F.id(2), alone, minInSync: 1).get()
        #expect(one.inSync == [F.id(2)])
    }

    @Test("Reference 7, 11: a wiped disk and an unclean start are another replica")
    func whoLostSomethingIsNotElectedAndLeavesTheSet() throws {
        let state = F.state()
        let members = [F.member(F.id(1, 2)), F.member(F.id(2, admission: 2)), F.member(F.id(3))]
        let next = try state.elected(F.id(3), members).get()
        #expect(next.inSync == [F.id(3)])
        #expect(next.lastEligible == [], "who lost something is not eligible either (KIP-966)")
    }

    @Test("KIP-966: the last eligible replicas are elected where no in-sync one lives")
    func lastEligibleReplicasAreElected() throws {
        let state = F.state().altered(to: [F.id(1)])
        #expect(state.lastEligible == [F.id(2), F.id(3)])
        let members = [F.member(F.id(1), alive: false), F.member(F.id(3)), F.member(F.id(2))]
        let next = try state.elected(F.id(2), members).get()
        #expect(next.inSync == [F.id(2)])
        #expect(next.lastEligible == [F.id(1), F.id(3)])
    }

    @Test func aSoleReplicaElectsItselfAtOnceButNotWithAnEmptiedStore() throws {
        let state = F.state([1])
        let next = try state.elected(F.id(1, 9), [], minInSync: 1).get()
        #expect(next.inSync == [F.id(1, 9)])
        #expect(next.deposed == nil, "it deposes nobody but its own earlier life")
        #expect(next.leaderEpoch == LeaderEpoch(1))
        let wiped = F.id(1, 9, admission: 2)
        #expect(state.elected(wiped, [], minInSync: 1) == .failure(.storeEmptied))
    }

    @Test("Design 5: all lost power at once")
    func theLongestLogWinsOnceEverybodyAnswered() throws {
        let state = F.state()
        let back = (1...3).map { F.id($0, 5) }
        let members = back.map { F.member($0) }
        var answers = [
            StoreAnswer(id: back[0], lastEpoch: LeaderEpoch(1), end: Offset(90)),
            StoreAnswer(id: back[1], lastEpoch: LeaderEpoch(2), end: Offset(10)),
        ]
        func elect(_ id: ReplicaID) -> PartitionState.Outcome {
            state.elect(
                id, expecting: .initial, members: members, answers: answers, minInSync: 2)
        }
        #expect(elect(back[1]) == .failure(.unanswered(NodeID(3))))
        answers.append(StoreAnswer(id: back[2], lastEpoch: LeaderEpoch(2), end: Offset(11)))
        #expect(elect(back[1]) == .failure(.notFirst(NodeID(3))))
        #expect(try elect(back[2]).get().inSync == [back[2]])
        answers[0] = StoreAnswer(
            id: F.id(1, 5, admission: 2), lastEpoch: .unknown, end: .zero)
        #expect(elect(back[2]) == .failure(.storeEmptied), "an emptied store is no answer")
    }

    @Test func anOperatorMayElectAnybodyAndItIsRecorded() throws {
        let state = F.state()
        let next = try state.electUnclean(F.id(3, 7), expecting: .initial).get()
        #expect(next.isUnclean && next.inSync == [F.id(3, 7)] && next.deposed == F.id(1))
        let later = try next.elected(F.id(3, 7), [F.member(F.id(3, 7))]).get()
        #expect(!later.isUnclean)
    }

    @Test("Reference 12, rule 4: consent instead of a lapsed lease")
    func theLeaderGivesItsLeadershipAway() throws {
        let state = F.state()
        func transfer(_ to: Int32?, _ epoch: Int32 = 0) -> PartitionState.Outcome {
            state.transfer(
                to: to.map { NodeID($0) }, from: NodeID(1), leaderEpoch: LeaderEpoch(epoch),
                expecting: .initial)
        }
        let next = try transfer(2).get()
        #expect(next.leader == NodeID(2) && next.consented && next.deposed == F.id(1))
        #expect(try transfer(nil).get().leader == nil)
        #expect(transfer(4) == .failure(.notInSync))
        #expect(transfer(2, 1) == .failure(.notLeader))
        #expect(transfer(1) == .failure(.alreadyDone))
    }

    @Test func aLeaderThatStopsLeavesTheInSyncSetWithItsLeadership() throws {
        func leaving(_ state: PartitionState, minInSync: Int) throws -> PartitionState {
            try state.transfer(
                to: NodeID(2), from: NodeID(1), leaderEpoch: LeaderEpoch(0),
                expecting: state.partitionEpoch, leaving: true, minInSync: minInSync
            ).get()
        }
        let next = try leaving(F.state(), minInSync: 2)
        #expect(next.inSync == [F.id(2), F.id(3)] && next.lastEligible.isEmpty)
        #expect(next.deposed == F.id(1) && next.consented)
        #expect(try PartitionState(decoding: next.encoded()) == next)
        let two = try F.state().leaveInSync(F.id(3), expecting: .initial, minInSync: 2).get()
        let small = try leaving(two, minInSync: 2)
        #expect(small.inSync == [F.id(2)] && small.lastEligible == [F.id(1)], "KIP-966")
    }

    @Test func copiesThatAreOnlyBegunAreNotWaitedFor() throws {
        let one = PartitionState.initial(placement: [F.id(1)])
        #expect(one.effectiveMinInSync(2) == 1)
        let growing = try one.reassign(
            to: [1, 2, 3].map { NodeID($0) }, expecting: .initial
        ).get()
        #expect(growing.effectiveMinInSync(2) == 1)
        let grown = try growing.alterInSync(
            to: [F.id(1), F.id(2), F.id(3)], by: NodeID(1), leaderEpoch: one.leaderEpoch,
            expecting: growing.partitionEpoch, minInSync: 2
        ).get()
        let done = try grown.completeReassignment(
            expecting: grown.partitionEpoch, minInSync: 2
        ).get()
        #expect(done.effectiveMinInSync(2) == 2 && done.adding.isEmpty)
    }

    @Test func aMoveTakesThePlaceOfAnother() throws {
        func nodes(_ list: Int32...) -> [NodeID] { list.map { NodeID($0) } }
        let state = try F.state().reassign(to: nodes(1, 4, 5), expecting: .initial).get()
        #expect(state.replicas == nodes(1, 4, 5, 2, 3) && state.adding == nodes(4, 5))
        let next = try state.reassign(to: nodes(1, 4, 6), expecting: state.partitionEpoch).get()
        #expect(next.replicas == nodes(1, 4, 6, 2, 3), "5 held nothing that counts")
        #expect(next.adding == nodes(4, 6) && next.removing == nodes(2, 3))
        let refused = next.reassign(to: nodes(1, 4, 6), expecting: next.partitionEpoch)
        #expect(refused == .failure(.alreadyDone))
        let back = try next.cancelReassignment(
            expecting: next.partitionEpoch, minInSync: 2
        ).get()
        #expect(back.replicas == nodes(1, 2, 3) && back.removing.isEmpty)
    }

    @Test func onlyTheStateThatWasSeenIsChanged() {
        let state = F.state()
        let refusal = PartitionState.Outcome.failure(.changed(.initial))
        let wrong = PartitionEpoch(1)
        #expect(state.elect(F.id(1), expecting: wrong, members: [], minInSync: 1) == refusal)
        #expect(state.electUnclean(F.id(1), expecting: wrong) == refusal)
        #expect(state.leaveInSync(F.id(2), expecting: wrong, minInSync: 1) == refusal)
        #expect(state.reassign(to: [NodeID(1)], expecting: wrong) == refusal)
        #expect(state.completeReassignment(expecting: wrong, minInSync: 1) == refusal)
        #expect(state.cancelReassignment(expecting: wrong, minInSync: 1) == refusal)
    }
}

/// Changes that keep the leader.
@Suite struct InSyncChangeTests {
    @Test("KIP-497: guarded by both epochs")
    func onlyTheLeaderOfThisEpochChangesTheSet() {
        let state = F.state()
        func alter(_ by: Int32, _ epoch: Int32, _ at: Int32) -> PartitionState.Outcome {
            state.alterInSync(
                to: [F.id(1), F.id(2)], by: NodeID(by), leaderEpoch: LeaderEpoch(epoch),
                expecting: PartitionEpoch(at), minInSync: 2)
        }
        #expect(alter(2, 0, 0) == .failure(.notLeader))
        #expect(alter(1, 1, 0) == .failure(.notLeader))
        #expect(alter(1, 0, 1) == .failure(.changed(.initial)))
        #expect((try? alter(1, 0, 0).get())?.partitionEpoch == PartitionEpoch(1))
    }

    @Test("KIP-966: ELR while the set is too small, cleared from min ISR on")
    func eligibilityIsKeptWhileTheSetIsTooSmall() {
        var state = F.state().altered(to: [F.id(1), F.id(2)])
        #expect(state.lastEligible == [])
        state = state.altered(to: [F.id(1)])
        #expect(state.lastEligible == [F.id(2)], "3 left while two could commit without it")
        state = state.altered(to: [F.id(1), F.id(3, 2)])
        #expect(state.lastEligible == [])
        #expect(state.inSync == [F.id(1), F.id(3, 2)])
        #expect(state.leaderEpoch == LeaderEpoch(0), "the leader stayed")
    }

    @Test func theNextChangeClearsWhomTheLastOneDeposed() throws {
        let next = try F.state().elected(
            F.id(2), [F.member(F.id(2)), F.member(F.id(1), alive: false)]
        ).get()
        #expect(next.deposed == F.id(1))
        #expect(next.altered(to: [F.id(2), F.id(3)]).deposed == nil)
    }

    @Test func aFollowerLeavesBeforeItStops() throws {
        let state = F.state()
        let next = try state.leaveInSync(F.id(3), expecting: .initial, minInSync: 2).get()
        #expect(next.inSync == [F.id(1), F.id(2)] && next.lastEligible == [])
        let last = try next.leaveInSync(F.id(2), expecting: PartitionEpoch(1), minInSync: 2).get()
        #expect(last.inSync == [F.id(1)] && last.lastEligible == [F.id(2)])
        let refused = state.leaveInSync(F.id(1), expecting: .initial, minInSync: 2)
        #expect(refused == .failure(.isLeader))
        let other = state.leaveInSync(F.id(3, 2), expecting: .initial, minInSync: 2)
        #expect(other == .failure(.alreadyDone))
    }

    @Test("KIP-455: replicas are added first and removed last")
    func aPartitionMoves() throws {
        var state = F.state()
        let target = [4, 2].map { NodeID($0) }
        state = try state.reassign(to: target, expecting: state.partitionEpoch).get()
        #expect(state.replicas == [4, 2, 1, 3].map { NodeID($0) })
        #expect(state.adding == [NodeID(4)] && state.removing == [NodeID(1), NodeID(3)])
        func complete() -> PartitionState.Outcome {
            state.completeReassignment(expecting: state.partitionEpoch, minInSync: 2)
        }
        #expect(complete() == .failure(.isLeader))
        let cancelled = try state.cancelReassignment(
            expecting: state.partitionEpoch, minInSync: 2
        ).get()
        #expect(cancelled.replicas == [2, 1, 3].map { NodeID($0) })
        state = state.altered(to: [F.id(1), F.id(2)])
        state = try state.transfer(
            to: NodeID(2), from: NodeID(1), leaderEpoch: state.leaderEpoch,
            expecting: state.partitionEpoch
        ).get()
        #expect(complete() == .failure(.notInSync))
        state = state.altered(to: [F.id(4), F.id(2), F.id(1)])
        state = try complete().get()
        #expect(state.replicas == target && state.inSync == [F.id(4), F.id(2)])
        #expect(state.adding == [] && state.removing == [])
    }
}

@Suite struct PartitionStateCodecTests {
    static var states: [PartitionState] {
        var moved = F.state()
        moved.adding = [NodeID(3)]
        moved.removing = [NodeID(1)]
        moved.isUnclean = true
        var given = F.state().altered(to: [F.id(1)])
        given.deposed = F.id(9)
        given.consent = .stopped
        given.leader = nil
        var served = given
        served.consent = .served
        return [F.state([7]), moved, given, served]
    }

    @Test func everyStateSurvivesAndEveryStrictPrefixIsRefused() throws {
        for state in Self.states {
            let bytes = state.encoded()
            #expect(try PartitionState(decoding: bytes) == state)
            for length in 0..<bytes.readableBytes {
                let prefix = try #require(bytes.getSlice(at: 0, length: length))
                #expect(throws: PartitionState.DecodeError.self) {
                    try PartitionState(decoding: prefix)
                }
            }
        }
    }

    @Test func theLayoutIsAsPictured() {
        let bytes = F.state([7]).encoded()
        let golden: [UInt8] =
            [1, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0]
            + [1, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0]
        #expect(Array(bytes.readableBytesView) == golden)
    }

    @Test func whatBreaksAnInvariantIsRefused() {
        func refused(_ change: (inout PartitionState) -> Void) -> Bool {
            var state = F.state()
            change(&state)
            do throws(PartitionState.DecodeError) {
                _ = try PartitionState(decoding: state.encoded())
                return false
            } catch { return true }
        }
        #expect(refused { $0.inSync = [F.id(2)] }, "the leader is not in sync")
        #expect(refused { $0.inSync = [] })
        #expect(refused { $0.replicas = [] })
        #expect(refused { $0.inSync.append(F.id(4)) })
        #expect(refused { $0.inSync.append(F.id(2, 2)) }, "twice")
        #expect(refused { $0.lastEligible = [F.id(2)] }, "in sync and last eligible")
        #expect(refused { $0.leaderEpoch = .unknown })
        #expect(refused { $0.partitionEpoch = PartitionEpoch(-1) })
        #expect(refused { $0.consent = .stopped })
        #expect(refused { $0.adding = [NodeID(9)] })
        #expect(refused { $0.replicas = (1...17).map { NodeID($0) } })
    }

    @Test func theLargestEpochsEndChangesWithoutATrap() {
        var state = F.state()
        state.partitionEpoch = PartitionEpoch(.max)
        let outcome = state.electUnclean(F.id(1), expecting: PartitionEpoch(.max))
        #expect(outcome == .failure(.exhausted))
    }
}
