import Gossip
import Model
import Node
import Paxos
import Replication

/// Whether the mesh is whole, and whether it holds what it promised.
extension MeshWorld {
    /// A partition as any broker knows it.
    func topicPartition(_ index: Int32) -> TopicPartition? {
        for site in sites {
            if let entry = site.life?.view?.topic(named: BrokerLife.topic) {
                return entry.partition(index)
            }
        }
        return nil
    }

    /// All brokers run, know the same, and every partition has all its copies in sync.
    var isWhole: Bool { whatIsMissing == nil }

    /// Why the mesh is not whole; nil where it is.
    var whatIsMissing: String? {
        let members = members
        for site in members where site.life?.isReady != true || site.isPaused {
            return "broker \(site.node.rawValue) does not run"
        }
        let roots = Set(members.compactMap { $0.life?.plane.mesh.gossip.tableRoot })
        guard roots.count == 1 else { return "the tables differ" }
        for site in members {
            guard let view = site.life?.view, view.brokers.count == members.count,
                view.topic(named: BrokerLife.topic) != nil
            else { return "broker \(site.node.rawValue) does not see all" }
            for name in view.sortedNames {
                guard let entry = view.topic(named: name),
                    let index = entry.partitions.firstIndex(where: { !hasAllCopies($0, view) })
                else { continue }
                let state = entry.partitions[index]
                return "\(name)-\(index) is led by \(state.leader?.rawValue ?? 0), in sync "
                    + "\(state.inSync.map(\.node.rawValue))"
            }
        }
        return nil
    }

    private func hasAllCopies(_ state: PartitionState, _ view: ClusterView) -> Bool {
        state.replicas.count == min(3, members.count) && state.leader != nil
            && state.inSync.count == state.replicas.count
            && state.inSync.allSatisfy { isCurrent($0) && view.broker($0.node) != nil }
    }

    /// Behind the last record that a producer was told the place of.
    private func promisedEnd(of partition: Int32) -> Int64 {
        let producers = clients.compactMap { $0 as? SimulatedProducer }
        return producers.filter { $0.partition == partition }
            .compactMap { $0.acknowledged.values.max() }.reduce(0) { max($0, $1 + 1) }
    }

    /// Whether a copy that a register names is the one that its broker has now.
    private func isCurrent(_ copy: ReplicaID) -> Bool {
        guard let life = sites[Int(copy.node.rawValue) - 1].life else { return false }
        return copy.logEpoch.rawValue == UInt64(clamping: life.logEpoch.rawValue)
            && life.plane.mesh.admission(of: copy.node)?.number == copy.admission
    }

    /// Reads every copy of every partition whole, and compares it with what clients were told.
    func verify() {
        var readers: [(partition: Int32, replica: Int?, reader: SimulatedConsumer)] = []
        for partition in 0..<partitions {
            guard let view = members[0].life?.view,
                let state = view.topic(named: BrokerLife.topic)?.state(partition)
            else { return fail("the topic is gone") }
            for replica in [nil] + state.replicas.map({ Int($0.rawValue) - 1 }) {
                let reader = SimulatedConsumer(
                    index: clients.count, partition: partition, replica: replica)
                readers.append((partition, replica, reader))
                add(reader)
            }
        }
        let end = now.advanced(byMilliseconds: 30_000)
        // Whoever has just begun to lead, and a follower, hear a moment later what is committed: of
        // all that was acknowledged they have to hear.
        let ends = (0..<partitions).map { promisedEnd(of: $0) }
        func isRead(_ partition: Int32, _ reader: SimulatedConsumer) -> Bool {
            reader.isDone && reader.end >= ends[Int(partition)]
        }
        while violation == nil, !readers.allSatisfy({ isRead($0.partition, $0.reader) }) {
            guard now < end else { return fail("the logs can't be read: \(state)") }
            advance(to: now.advanced(byMilliseconds: 50))
        }
        for (partition, replica, reader) in readers where violation == nil {
            let whose = replica.map { "broker \($0 + 1)'s copy" } ?? "the leader's log"
            check(reader.values, of: partition, whose)
        }
        guard violation == nil else { return }
        note(UInt64(counts.acknowledged) << 8 | 40)
    }

    private func check(_ values: [String], of partition: Int32, _ whose: String) {
        guard let id = topicPartition(partition) else { return fail("the topic is gone") }
        let check = CopyCheck(values: values)
        var objection = check.disorder()
        for case let producer as SimulatedProducer in clients where producer.partition == partition
        {
            let acknowledged = producer.acknowledged.sorted { $0.key < $1.key }
                .map { (producer.value($0.key), $0.value) }
            objection = objection ?? check.loss(of: acknowledged)
        }
        objection = objection ?? check.loss(ofSeen: checks.seen[id] ?? [:])
        guard let objection else { return }
        fail(
            "partition \(partition), \(whose): \(objection.text)", breaks: objection.promise,
            about: MeshSubject(partition: id, offset: objection.offset, value: objection.value))
    }
}
