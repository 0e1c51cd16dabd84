public import Model
internal import NIOCore

/// The log of one partition: an ordered list of segments on a disk, appended to and read from.
///
/// ```
///  startOffset                flushedOffset      endOffset
///      |                            |                |
///  [ segment 0 | segment 1 | ... | active segment    ]
///      sealed: never written again       appended to
/// ```
///
/// A plain struct owned by one event loop. What may block for long (fsync, recovery, deletion,
/// compaction) is a task value: the shell runs it on a disk thread and gives the result back, so
/// the loop never waits for the device. Appends and small reads touch the page cache only.
///
/// Invariants: segments ascend and the last one is active; `startOffset` <= every readable offset <
/// `endOffset`; nothing below `flushedOffset` is lost by a crash. An idle log costs about a
/// kilobyte of memory and no descriptor.
public struct PartitionLog: Sendable {
    public let directory: String
    public internal(set) var configuration: LogConfiguration
    public internal(set) var startOffset: Offset
    /// Everything below is on the device.
    public internal(set) var flushedOffset: Offset
    /// The start that survives a crash: behind `startOffset` while a deletion runs or has failed.
    public internal(set) var durableStart = Offset.zero
    /// Segments whose removal failed, for the next deletion.
    var pendingRemovals: [Offset] = []
    /// Set once the log takes no writes any more.
    public internal(set) var refusal: WriteRefusal?
    public internal(set) var epochs = EpochCache()

    let disk: any Disk
    let files: FileHandleCache
    let tail: TailCache
    let number: UInt64
    var producers = ProducerTable()
    var segments: [Segment] = []
    /// The index of the sealed segment that was read last.
    var loadedIndex: (baseOffset: Offset, index: SparseIndex)?
    /// Appended since the last flush began, for `flush.messages` and `flush.ms`.
    var unflushedSince: Instant?
    var flushInFlight = false
    var compactionInFlight = false
    /// Everything below was compacted since the log was opened.
    var cleanedUpTo = Offset.zero
    var deletionInFlight = false
    /// It took batches that have a gap before them, as the leader of a compacted log sends them;
    /// noted in the directory, because the topic may not be compacted any more when it is opened.
    var isSparse = false
    /// What a flush still has to write out: the snapshot at the end of each sealed segment.
    var pendingSeals: [PendingSeal] = []
    /// Rewritten for each append, to patch a batch's head without touching the rest.
    var head = ByteBuffer()

    /// A segment that was rolled: its summary and snapshot go to disk once its bytes are there.
    struct PendingSeal: Sendable {
        let baseOffset: Offset
        let snapshot: ByteBuffer
        let snapshotOffset: Offset
    }

    init(
        directory: String, disk: any Disk, files: FileHandleCache, tail: TailCache,
        configuration: LogConfiguration
    ) {
        self.directory = directory
        self.disk = disk
        self.files = files
        self.tail = tail
        self.configuration = configuration
        number = files.nextLogNumber()
        startOffset = .zero
        flushedOffset = .zero
    }

    /// The offset that the next record gets.
    public var endOffset: Offset { max(active.nextOffset, startOffset) }

    public var segmentCount: Int { segments.count }

    public var sizeInBytes: Int64 { segments.reduce(0) { $0 + $1.size } }

    public var latestEpoch: LeaderEpoch? { epochs.latest }

    /// The epoch of the last record; unknown in an empty log. An epoch that was assigned and wrote
    /// nothing does not count.
    public var lastRecordEpoch: LeaderEpoch {
        guard startOffset < endOffset else { return .unknown }
        return epochs.entries.last { $0.startOffset < endOffset }?.epoch ?? .unknown
    }

    /// The largest epoch up to `epoch` and the offset behind its last record (KIP-101, KIP-320).
    public func endOffset(
        for epoch: LeaderEpoch
    ) -> (epoch: LeaderEpoch, endOffset: Offset)? {
        epochs.endOffset(for: epoch, logEnd: endOffset)
    }

    /// The producers that the log knows, by id, for DescribeProducers.
    public var activeProducers: [(id: ProducerID, entry: ProducerEntry)] { producers.sorted }

    /// Changes what the topic's configuration says; from the next append on.
    public mutating func configure(_ configuration: LogConfiguration) {
        self.configuration = configuration
    }

    /// Whether it has batches of that producer, or had not long ago.
    public func knows(_ producer: ProducerID) -> Bool { producers.entries[producer] != nil }

    /// From now on an unknown producer begins at sequence 0: a batch was refused before the log saw
    /// it, and the one pipelined behind it must not pass for a producer's first.
    public mutating func refuseLateStarts() { producers.refusesLateStarts = true }

    /// Nobody can have a batch from before that on its way any more.
    public mutating func acceptLateStarts() { producers.refusesLateStarts = false }

    /// Notes that `epoch` leads from the log's end on, though it wrote nothing yet.
    public mutating func assign(epoch: LeaderEpoch) { epochs.assign(epoch, at: endOffset) }

    var active: Segment {
        _read { yield segments[segments.count - 1] }
        _modify { yield &segments[segments.count - 1] }
    }

    /// The open file of a segment; made on the first use where `mode` says so.
    func file(of segment: Offset, _ mode: OpenMode) throws(DiskError) -> any DiskFile {
        let disk = disk
        let directory = directory
        return try files.file(for: FileKey(log: number, baseOffset: segment.rawValue)) {
            () throws(DiskError) in
            try disk.open(LogFile.log(segment).path(in: directory), mode)
        }
    }

    /// Notes that offsets are missing; the next flush makes the note durable with the batches.
    mutating func noteSparse() throws(DiskError) {
        _ = try disk.open(LogFile.sparse.path(in: directory), .create)
        isSparse = true
        active.isLinked = false
    }

    func refuseIfNeeded() throws(AppendError) {
        if let refusal { throw .writesRefused(refusal) }
    }
}
