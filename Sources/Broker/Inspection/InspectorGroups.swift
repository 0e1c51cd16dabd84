import Coordination
import Gossip
import Model
import NIOCore
import Node
import OrderedCollections
import Replication

/// What this broker's copies say of consumer groups, and how they are written back.
extension Inspector {
    /// The lag of one group, or of all: nobody is asked. The loop only takes the copies along;
    /// they are read on a disk thread.
    func groups(
        _ question: InspectionQuestion, _ mesh: Mesh, _ blank: InspectionAnswer
    ) -> Finish {
        let slots = slotViews(of: question.key, mesh)
        let ends = mesh.gossip.feedIDs.compactMap { id -> FeedView? in
            if case .ends = id { mesh.gossip.feed(id) } else { nil }
        }
        let view = reactor.view
        let now = reactor.now.wall
        let name = question.key
        return {
            var answer = blank
            let figures = LagFigures(ends: ends, view: view, now: now)
            answer.groups = slots.flatMap { figures.groups(in: $0, named: name) }
                .sorted { $0.group < $1.group }
            return answer
        }
    }

    private func slotViews(of group: String?, _ mesh: Mesh) -> [FeedView] {
        guard let topic = reactor.view.topic(named: TopicName.consumerOffsets) else { return [] }
        let count = topic.partitions.count
        return mesh.gossip.feedIDs.compactMap { id in
            guard case .slot(let number, topic.id.low) = id else { return nil }
            if let group,
                GroupSlot.slot(for: group, count: Int32(clamping: count)).rawValue != number
            {
                return nil
            }
            return mesh.gossip.feed(id)
        }
    }

    /// Writes back what the slots lack that this broker coordinates.
    func recoverOffsets(
        _ question: InspectionQuestion, _ mesh: Mesh, _ blank: InspectionAnswer,
        then: @escaping (@escaping Finish) -> Void
    ) {
        let view = reactor.view
        let now = reactor.now.wall
        let wanted = question.key.flatMap { Int($0) }
        var views: [FeedView] = []
        var reports: [RecoveryReport] = []
        for id in mesh.gossip.feedIDs {
            guard let topic = view.topic(named: TopicName.consumerOffsets),
                case .slot(let number, topic.id.low) = id,
                wanted == nil || wanted == Int(number),
                let state = topic.state(Int32(number)),
                state.leader == view.controller || state.leader == nil,
                let copy = mesh.gossip.feed(id), copy.entries.contains(where: { $0.value != nil })
            else { continue }
            if state.leader == nil {
                reports.append(
                    RecoveryReport(
                        slot: Int32(number), refusal: Self.leaderless, recovered: [], kept: 0))
            } else {
                views.append(copy)
            }
        }
        let answer = blank
        let figures = LagFigures(ends: [], view: view, now: now)
        recover(views[...], question.force ?? false, figures, reports) { reports in
            then { [answer] in
                var full = answer
                full.recoveries = reports
                return full
            }
        }
    }

    /// One slot after the other: each is a few batches of its log.
    private func recover(
        _ views: ArraySlice<FeedView>, _ force: Bool, _ figures: LagFigures,
        _ done: [RecoveryReport] = [], then: @escaping ([RecoveryReport]) -> Void
    ) {
        guard let copy = views.first, case .slot(let number, _) = copy.feed else {
            return then(done)
        }
        let records = copy.entries.compactMap { entry in
            entry.value.map { SlotRecord(key: entry.key, value: $0) }
        }
        reactor.ask(.recoverOffsets(slot: Int(number), records, force: force)) {
            [unowned self] reply in
            var reports = done
            if case .recovered(let outcome) = reply {
                let written = Set(outcome.written.map(\.key))
                let report = RecoveryReport(
                    slot: Int32(clamping: number), refusal: outcome.refusal.map(Self.text),
                    recovered: figures.groups(in: copy, named: nil) { written.contains($0) },
                    kept: outcome.kept)
                let isIdle = report.recovered.isEmpty && report.refusal == nil && report.kept == 0
                if !isIdle { reports.append(report) }
            }
            self.recover(views.dropFirst(), force, figures, reports, then: then)
        }
    }

    private static let leaderless =
        "nobody leads the slot: have a leader elected first, uncleanly where all replicas are lost "
        + "(kafka-leader-election.sh --election-type unclean --topic __consumer_offsets)"

    private static func text(_ refusal: RecoveryOutcome.Refusal) -> String {
        switch refusal {
        case .notCoordinator: "this broker does not coordinate the slot just now: ask again"
        case .loading: "the coordinator still reads the slot's log: ask again"
        case .notEmpty(let count):
            "the slot's log holds \(count) committed "
                + (count == 1 ? "position" : "positions")
                + " already: it may have lost nothing. --force writes what it lacks beside them"
        case .notWritten(let reason):
            "not everything was written (\(reason)): ask again, what is there is left alone"
        }
    }
}

/// Puts committed offsets and the ends of partitions together.
struct LagFigures: Sendable {
    private struct End {
        let figure: PartitionEnd
        let asOf: Timestamp
    }

    private let view: ClusterView
    private let now: Timestamp
    /// Looked up, never iterated.
    private var ends: [TopicPartition: End] = [:]

    init(ends feeds: [FeedView], view: ClusterView, now: Timestamp) {
        self.view = view
        self.now = now
        for feed in feeds {
            for entry in feed.entries {
                guard let (partition, figure) = PartitionEnd.read(entry), let figure else {
                    continue
                }
                // The later leader knows better; a broker that led before may not have said so.
                if let known = ends[partition]?.figure,
                    (known.epoch, known.end) >= (figure.epoch, figure.end)
                {
                    continue
                }
                ends[partition] = End(figure: figure, asOf: feed.asOf)
            }
        }
    }

    /// The groups of one slot, or the one that is named.
    func groups(
        in copy: FeedView, named name: String?, where isWanted: (ByteBuffer) -> Bool = { _ in true }
    ) -> [GroupCopyReport] {
        guard case .slot(let number, _) = copy.feed else { return [] }
        let slot = Int32(clamping: number)
        var found: OrderedDictionary<String, GroupCopyReport> = [:]
        for entry in copy.entries where isWanted(entry.key) {
            guard let value = entry.value,
                case .offset(let key, let position?)? =
                    try? SlotRecord(key: entry.key, value: value).content(),
                position.offset >= .zero, name == nil || name == key.groupID
            else { continue }
            let row = row(key, position, entry.version)
            var group = found[key.groupID] ?? blank(key.groupID, slot, copy)
            group.partitions.append(row)
            // Figures of other brokers, which may say anything.
            let (sum, isTooLarge) = group.lag.addingReportingOverflow(row.lag ?? 0)
            group.lag = isTooLarge ? .max : sum
            found[key.groupID] = group
        }
        return found.values.map { group in
            var sorted = group
            sorted.partitions.sort { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
            return sorted
        }
    }

    private func blank(_ group: String, _ slot: Int32, _ copy: FeedView) -> GroupCopyReport {
        GroupCopyReport(
            group: group, slot: slot,
            coordinator: view.topic(named: TopicName.consumerOffsets)?.state(slot)?.leader?
                .rawValue,
            ageMilliseconds: age(copy.asOf), isPartial: copy.isPartial, lag: 0, partitions: [])
    }

    private func row(
        _ key: OffsetCommitKey, _ position: OffsetCommitValue, _ version: FeedVersion
    ) -> GroupPartitionReport {
        let end = view.topic(named: key.topic).flatMap {
            ends[$0.partition(key.partition.rawValue)]
        }
        return GroupPartitionReport(
            topic: key.topic, partition: key.partition.rawValue,
            currentOffset: position.offset.rawValue, metadata: position.metadata,
            committedAt: position.commitTimestamp.milliseconds, slotEpoch: version.epoch,
            slotOffset: version.sequence, logEndOffset: end?.figure.end.rawValue,
            endAgeMilliseconds: end.flatMap { age($0.asOf) },
            lag: end.map { max(0, $0.figure.end.rawValue - position.offset.rawValue) })
    }

    /// Clocks of brokers differ: nothing is younger than now.
    private func age(_ moment: Timestamp) -> Int64? {
        moment.milliseconds < 0 ? nil : max(0, now.milliseconds - moment.milliseconds)
    }
}
