import KafkaProtocol
import Model
import Node
import Paxos

/// What operators do to a mesh that works, at any time: none of it may lose a record.
extension MeshWorld {
    /// What is done in several steps.
    enum Step {
        /// The next broker is restarted, once the one before it is back.
        case roll(next: Int, waitsForWhole: Bool)
        /// A broker that is to leave for good ends.
        case leave(site: Int, isOrderly: Bool)
        case forget(site: Int)
    }

    /// Topics grow by so many partitions at most: each has clients of its own.
    private static let grownPartitionsMaximum: Int32 = 2
    private static let rollPauseMicroseconds: Int64 = 200_000
    /// A broker that is not back by then is left behind: rolling on is what a script does too.
    private static let rollPatienceMilliseconds: Int64 = 10_000

    var operatorClient: SimulatedOperator? {
        clients.lazy.compactMap { $0 as? SimulatedOperator }.first
    }

    func operate(_ fault: MeshFault) {
        let node = sites[fault.victim].node
        switch fault.kind {
        case .rollingRestart:
            rollingSince = now
            timeline.schedule(.step(.roll(next: 0, waitsForWhole: chance(0.5))), at: now)
        case .reassignment: reassign()
        case .leaderElection:
            operatorClient?.ask(
                ElectLeadersRequest(electionType: 0, topics: nil, timeoutMilliseconds: 5_000),
                "leader election", in: self)
        case .voterAdded: operatorClient?.ask(.add(node), "voter added", in: self)
        case .voterRemoved: operatorClient?.ask(.remove(node), "voter removed", in: self)
        case .voterChangeUndone: operatorClient?.ask(.rollBack, "voter change undone", in: self)
        case .topicGrowth: growTopic()
        default: preconditionFailure("\(fault.kind.rawValue) is nothing that operators do")
        }
    }

    // MARK: Partitions

    private func reassign() {
        let index = Int32(draw(0...Int64(partitions - 1)))
        var nodes = members.map(\.node.rawValue)
        nodes.shuffle(using: &random)
        let target = Array(nodes.prefix(min(3, nodes.count)))
        let isCalledOff = chance(0.15)
        operatorClient?.ask(
            Self.reassignment([(index, isCalledOff ? nil : target)]),
            isCalledOff ? "reassignment called off" : "reassignment", in: self)
    }

    /// Where copies of partitions of the topic shall be; nil calls a move off.
    static func reassignment(
        _ wishes: [(index: Int32, target: [Int32]?)]
    ) -> AlterPartitionReassignmentsRequest {
        AlterPartitionReassignmentsRequest(
            timeoutMilliseconds: 30_000, allowReplicationFactorChange: true,
            topics: [
                .init(
                    name: BrokerLife.topic,
                    partitions: wishes.map { .init(index: $0.index, replicas: $0.target) })
            ])
    }

    var canGrow: Bool { partitions < options.partitions + Self.grownPartitionsMaximum }

    private func growTopic() {
        operatorClient?.ask(
            CreatePartitionsRequest(
                topics: [.init(name: BrokerLife.topic, count: partitions + 1)],
                timeoutMilliseconds: 30_000), "topic growth", in: self)
    }

    /// Partitions that somebody added get clients; asked again and again, because an answer may be
    /// lost.
    func meetNewPartitions() {
        let views = sites.compactMap { $0.life?.view?.topic(named: BrokerLife.topic) }
        let count = views.map { Int32($0.partitions.count) }.max() ?? 0
        while partitions < count, !isHealed {
            beginClients(of: partitions)
            partitions += 1
        }
    }

    // MARK: Rolling

    func take(_ step: Step) {
        switch step {
        case .roll(let next, let waitsForWhole): roll(next, waitsForWhole)
        case .leave(let site, let isOrderly): leave(sites[site], isOrderly: isOrderly)
        case .forget(let site): forget(sites[site])
        }
    }

    private func roll(_ next: Int, _ waitsForWhole: Bool) {
        guard !isHealed, next < sites.count else {
            rollingSince = nil
            return
        }
        let isLate = now.milliseconds(since: rollingSince ?? now) > Self.rollPatienceMilliseconds
        let isReady =
            waitsForWhole
            ? isWhole : members.allSatisfy { $0.life?.isReady == true && !$0.isStopping }
        guard isReady || isLate else {
            return schedule(
                .step(.roll(next: next, waitsForWhole: waitsForWhole)),
                afterMicroseconds: Self.rollPauseMicroseconds)
        }
        rollingSince = now
        if sites[next].life?.isReady == true {
            counts.reached["restarted in turn", default: 0] += 1
            sites[next].mayRunAt = now
            stopInOrder(sites[next])
        }
        schedule(
            .step(.roll(next: next + 1, waitsForWhole: waitsForWhole)),
            afterMicroseconds: Self.rollPauseMicroseconds)
    }

    /// No change of who votes is under way, as everybody knows it.
    var hasSettledVoters: Bool {
        let rosters = members.map { $0.life?.plane.mesh.proposer.roster }
        return rosters.allSatisfy { $0?.next == nil && $0?.generation == rosters[0]?.generation }
    }
}
