import Model
import Node
import Replication
import Routes

/// What this broker says of partitions.
extension Inspector {
    /// Partitions that one page looks at: the loop takes less than a millisecond for them.
    static let pagePartitions = 1_000

    /// Partitions of all topics in order, from where the question says: `key` names the first
    /// topic, `after` its first partition.
    func partitions(_ question: InspectionQuestion, _ blank: InspectionAnswer) -> InspectionAnswer {
        var answer = blank
        var reports: [PartitionReport] = []
        let view = reactor.view
        let names = view.sortedNames
        let first = question.key.map { key in names.firstIndex { $0 >= key } ?? names.count } ?? 0
        var start =
            names.indices.contains(first) && names[first] == question.key
            ? Int(clamping: question.after ?? 0) : 0
        for name in names[first...] {
            guard let entry = view.topic(named: name) else { continue }
            for index in entry.partitions.indices.dropFirst(start) {
                guard reports.count < Self.pagePartitions else {
                    answer.nextTopic = name
                    answer.nextPartition = Int32(clamping: index)
                    answer.partitions = reports
                    return answer
                }
                reports.append(report(entry, Int32(clamping: index)))
            }
            start = 0
        }
        answer.partitions = reports
        return answer
    }

    private func report(_ entry: TopicEntry, _ index: Int32) -> PartitionReport {
        let state = entry.partitions[Int(index)]
        let control = reactor.plane?.control
        let live = state.inSync.filter { copy in
            control?.standing(of: copy) == .current
        }
        return PartitionReport(
            topic: entry.name, partition: index, leader: state.leader?.rawValue,
            leaderEpoch: state.leaderEpoch.rawValue,
            partitionEpoch: state.partitionEpoch.rawValue,
            replicas: state.replicas.map(\.rawValue), adding: state.adding.map(\.rawValue),
            removing: state.removing.map(\.rawValue), inSync: state.inSync.map(\.node.rawValue),
            live: live.map(\.node.rawValue), lastEligible: state.lastEligible.map(\.node.rawValue),
            successors: control?.successors(of: state).map(\.rawValue) ?? [],
            minInSync: state.effectiveMinInSync(entry.configuration.minInSync))
    }

    /// The partitions of one topic with all that is known of them, from partition `after` on; what
    /// this broker leads, as its shards know it.
    func topic(
        _ question: InspectionQuestion, _ blank: InspectionAnswer,
        then: @escaping (InspectionAnswer) -> Void
    ) {
        var answer = blank
        guard let name = question.key, let entry = reactor.view.topic(named: name) else {
            answer.error = "there is no topic \(question.key ?? "")"
            return then(answer)
        }
        let first = min(Int(clamping: question.after ?? 0), entry.partitions.count)
        let end = min(first + Self.pagePartitions, entry.partitions.count)
        if end < entry.partitions.count { answer.nextPartition = Int32(clamping: end) }
        var reports = (first..<end).map { detailed(entry, Int32(clamping: $0)) }
        let own = reports.indices.filter { reports[$0].leader == answer.nodeId }
        let asked = own.map { place -> (PartitionPlace, PartitionQuestion) in
            (.here(entry.partition(reports[place].partition)), .copies)
        }
        guard !asked.isEmpty else {
            answer.partitions = reports
            return then(answer)
        }
        do {
            try reactor.ask(asked) { [answer] answers in
                for (place, said) in zip(own, answers) {
                    if case .copies(let copies) = said { reports[place].led = LedReport(copies) }
                }
                var full = answer
                full.partitions = reports
                then(full)
            }
        } catch {
            answer.error = "too many partitions at a time"
            then(answer)
        }
    }

    private func detailed(_ entry: TopicEntry, _ index: Int32) -> PartitionReport {
        var report = report(entry, index)
        let state = entry.partitions[Int(index)]
        report.register = PartitionRegister.key(entry.partition(index))
        report.topicId = Self.text(entry.id.high) + Self.text(entry.id.low)
        let named = state.inSync.map { ($0, true) } + state.lastEligible.map { ($0, false) }
        report.copies = named.map { copy, isInSync in
            CopyReport(
                nodeId: copy.node.rawValue, admission: copy.admission.rawValue,
                logEpoch: copy.logEpoch.rawValue, isInSync: isInSync,
                standing: (reactor.plane?.control.standing(of: copy) ?? .away).rawValue)
        }
        return report
    }
}

extension LedReport {
    init(_ copies: LeaderCopies) {
        self.init(
            leaderEpoch: copies.epoch.rawValue, startOffset: copies.start.rawValue,
            endOffset: copies.end.rawValue, highWatermark: copies.highWatermark.rawValue,
            isServing: copies.isServing, isChangingInSync: copies.isChangingInSync,
            backups: copies.followers.map { follower in
                BackupReport(
                    nodeId: follower.node.rawValue, isAttached: follower.isAttached,
                    isInSync: follower.isInSync, endOffset: follower.end?.rawValue,
                    lag: follower.end.map { max(0, copies.end.rawValue - $0.rawValue) },
                    behindMilliseconds: follower.behindMilliseconds)
            })
    }
}
