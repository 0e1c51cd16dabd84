import Model
import NIOCore
import Node
import Replication
import Storage

/// What a run did to the subject of its failure: noted when the run is made again to explain it.
///
/// Faults and processes are noted whole; of partitions, records and groups only the subject's.
/// Costs nothing where nobody asked for one.
struct MeshStory {
    /// What a line is about.
    enum Kind: String {
        case fault
        case mended
        case process
        case leader
        case decided
        case record
        case log
        case group

        /// Whether it is about the subject itself.
        var isEssential: Bool {
            switch self {
            case .fault, .mended, .process: false
            case .leader, .decided, .record, .log, .group: true
            }
        }
    }

    /// Something that happened.
    struct Line {
        let at: Instant
        let kind: Kind
        let text: String
        /// How often in a row, and the last time.
        var count = 1
        var last: Instant
    }

    /// What a broker's log has at the subject's offset.
    struct Copy: Equatable {
        var value: String?
        var offset: Int64 = -1
        var epoch: Int32 = -1
        /// Behind the last record.
        var end: Int64 = 0
    }

    let subject: MeshSubject
    private(set) var lines: [Line] = []
    /// By site: the disk as it was read last, and what was found. Looked up, never iterated.
    var copies: [Int: (operations: Int, life: Int, copy: Copy)] = [:]
    /// The subject's register as the newest of the brokers knows it.
    var state: PartitionState?

    init(subject: MeshSubject) { self.subject = subject }

    mutating func add(_ kind: Kind, _ text: String, at moment: Instant) {
        if let last = lines.last, last.kind == kind, last.text == text {
            lines[lines.count - 1].count += 1
            lines[lines.count - 1].last = moment
            return
        }
        lines.append(Line(at: moment, kind: kind, text: text, last: moment))
    }
}

extension BrokerSite {
    /// For a reader.
    var name: String { "broker \(node.rawValue)" }
}

extension MeshWorld {
    /// Notes something, also for a story.
    func tell(
        _ word: UInt64, _ kind: MeshStory.Kind, _ what: @autoclosure () -> String,
        about partition: TopicPartition? = nil
    ) {
        note(word, what() + (partition.map { ", partition \($0.index.rawValue)" } ?? ""))
        guard let story, partition == nil || partition == story.subject.partition else { return }
        self.story?.add(kind, what(), at: now)
    }

    /// Tells of a batch where the subject is in it.
    func tellRecord(
        _ partition: Int32, _ values: [String], _ what: () -> String
    ) {
        guard let subject = story?.subject, subject.partition?.index.rawValue == partition,
            let value = subject.value, values.contains(value)
        else { return }
        story?.add(.record, what(), at: now)
    }

    func tellGroup(_ group: String, _ what: () -> String) {
        guard story?.subject.group == group else { return }
        story?.add(.group, what(), at: now)
    }

    /// Tells what was decided of the subject's partition, when the first broker knows it.
    func watchRegister(_ view: ClusterView, at site: BrokerSite) {
        guard let partition = story?.subject.partition,
            let state = view.topic(id: partition.topic)?.state(partition.index.rawValue),
            state.partitionEpoch > story?.state?.partitionEpoch ?? PartitionEpoch(-1)
        else { return }
        let before = story?.state
        story?.state = state
        guard before != state else { return }
        let leader = state.leader.map { "broker \($0.rawValue) leads" } ?? "nobody leads"
        let inSync = state.inSync.map { "\($0.node.rawValue)" }.joined(separator: ", ")
        let eligible = state.lastEligible.map { "\($0.node.rawValue)" }.joined(separator: ", ")
        story?.add(
            .decided,
            "\(leader) under epoch \(state.leaderEpoch.rawValue), in sync \(inSync)"
                + (eligible.isEmpty ? "" : ", eligible too \(eligible)")
                + " (register \(state.partitionEpoch.rawValue), first known to \(site.name))",
            at: now)
    }

    /// Tells where the subject's record came into a log, or went from it.
    func watchCopies() {
        guard let subject = story?.subject, let partition = subject.partition,
            subject.value != nil || subject.offset != nil
        else { return }
        for site in sites {
            let operations = site.disk.operationCount
            let before = story?.copies[site.index]
            if let before, before.operations == operations, before.life == site.lives { continue }
            let copy = site.copy(of: partition, subject)
            story?.copies[site.index] = (operations, site.lives, copy)
            guard
                before?.copy.value != copy.value || before?.copy.epoch != copy.epoch
                    || before?.copy.offset != copy.offset
            else { continue }
            if let value = copy.value {
                story?.add(
                    .log, "\(site.name)'s log: \(value) at \(copy.offset), epoch \(copy.epoch)",
                    at: now)
            } else if let old = before?.copy, let value = old.value {
                story?.add(
                    .log, "\(site.name)'s log: \(value) is gone, the log ends at \(copy.end)",
                    at: now)
            }
        }
    }
}

extension BrokerSite {
    /// What the log has at the subject's offset, or where it has the subject's value; a look at
    /// the bytes of its files, whether its process runs or not.
    func copy(of partition: TopicPartition, _ subject: MeshSubject) -> MeshStory.Copy {
        var copy = MeshStory.Copy()
        let directory = PartitionOrder.directory(of: partition)
        for path in disk.paths(below: directory) where path.hasSuffix(".log") {
            let bytes = ByteBuffer(bytes: disk.contents(of: path) ?? [])
            var cursor = RecordBatchCursor(bytes, strictness: .structure)
            while let batch = try? cursor.next() {
                let first = batch.header.baseOffset.rawValue
                let last = first + Int64(batch.header.lastOffsetDelta)
                copy.end = last + 1
                if let offset = subject.offset, !(first...last).contains(offset) { continue }
                let payload = bytes.getSlice(at: batch.recordsStart, length: batch.recordsLength)
                var reader = RecordReader(payload: payload ?? ByteBuffer(), header: batch.header)
                while let record = try? reader.next() {
                    let value = record.value.map { String(buffer: $0) } ?? "null"
                    let isIt =
                        subject.offset.map { $0 == record.offset.rawValue }
                        ?? (value == subject.value)
                    guard isIt else { continue }
                    copy.value = value
                    copy.offset = record.offset.rawValue
                    copy.epoch = batch.header.leaderEpoch.rawValue
                }
            }
        }
        return copy
    }
}
