import DequeModule
import HeapModule
public import Model
import OrderedCollections
public import Replication
public import Storage

/// One event loop's share of the partitions: the data half of a broker.
///
/// Takes typed work, appends to and reads from its logs, drives each partition's machine and says
/// what is left to do as effects. It reads no clock and starts no thread; the only I/O on its
/// loop is what the page cache answers, through `Disk`. Whatever may block long is a `DiskJob`
/// that the shell runs elsewhere and whose result comes back as an input.
///
/// Owned by exactly one event loop (or by a simulator). Costs nothing for an idle partition but
/// its memory.
public struct Shard {
    /// What the shell or the control machine tells a shard.
    public enum Input: Sendable {
        /// Open (or make) the log of a partition that this broker leads.
        case open(PartitionOrder)
        /// What this broker is for a partition from now on.
        case assume(TopicPartition, PartitionRole)
        /// Let go of a partition; `delete` removes its files.
        case close(TopicPartition, delete: Bool)
        /// A topic's configuration changed.
        case configure(TopicPartition, TopicConfiguration)
        case produce(ProduceWork)
        case fetch(FetchWork)
        /// Answer that fetch now with what there is: another shard had enough.
        case settle(token: UInt64)
        /// The connection is gone: nobody wants these answers.
        case forget(token: UInt64)
        case ask(token: UInt64, [(TopicPartition, PartitionQuestion)])
        /// What another broker says about partitions of this shard.
        case replication(from: NodeID, ReplicationMessage)
        /// The link with a broker ended.
        case linkLost(NodeID)
        /// A proposal of this shard was not chosen, or nobody knows.
        case proposalEnded(TopicPartition, serial: UInt64, isUnknown: Bool)
        /// Until when this broker may serve what it leads with others.
        case lease(until: Instant?)
        /// Look after the followers of what is led; ten times a second.
        case tick
        /// Everything of this turn was said: send what is to be sent.
        case turnEnded
        /// Name the bytes of a slot's log from an offset on, for the coordinator to load.
        case scan(SlotLoad, from: Offset)
        case finished(DiskOutcome)
        /// A deadline that was asked for has come.
        case wake
        /// Apply retention, compaction and producer expiry.
        case maintain
        /// Sync the logs whose topics say `flush: interval`.
        case flushInterval
        /// Flush everything and close: the last input.
        case stop
    }

    /// What the shell has to do, in order.
    public enum Effect: Sendable {
        case produced(token: UInt64, [ProduceResult])
        case fetched(token: UInt64, [FetchResult])
        case answered(token: UInt64, [PartitionAnswer])
        case run(DiskJob)
        case wake(at: Instant)
        case send(NodeID, ReplicationMessage)
        /// Have the in-sync set of a partition decided; what was chosen comes as a role, all else
        /// as `proposalEnded`.
        case proposeInSync(InSyncWish)
        /// This broker led a partition under that epoch and serves it no more.
        case stoodDown(TopicPartition, LeaderEpoch)
        /// Nothing of a partition is served or copied here any more.
        case closed(TopicPartition)
        /// Nobody else leads these until then, whatever the voters say.
        case standing([Standing])
        /// The log is open, or can't be opened; said to the control machine.
        case opened(TopicPartition, failure: String?)
        /// A piece of a slot's log, to be read off the loop; empty at the high watermark.
        case scanned(SlotLoad, LogRead)
        /// Something that an operator should know.
        case notice(ShardNotice)
        /// What this copy of a partition holds is not known any more, and others have copies: the
        /// broker has to end, and comes back as one that may have lost something.
        case broken(TopicPartition, String)
        /// Every log is closed; `clean` where all of them were flushed.
        case stopped(clean: Bool)
    }

    /// How often followers are looked after: ten times within the lag that costs one its place.
    public static let tickMilliseconds: Int64 = 100

    var partitions = PartitionTable()
    var produces: [UInt64: PendingProduce] = [:]
    /// By token: whoever asks has given each of them another.
    var fetches: [UInt64: PendingFetch] = [:]
    var questionnaires: [UInt64: Questionnaire] = [:]
    /// Numbers for pending requests, unique while the process lives.
    var serial: UInt64 = 0
    /// Pending requests by deadline; entries of answered ones are dropped when they surface.
    var deadlines = Heap<Deadline>()
    var announcedWake: Instant?
    /// Partitions whose high watermark moved during this input, for the consumers that wait.
    var advanced: [Int] = []
    var stopping: StopProgress?
    /// Partitions whose followers are to be sent what was appended in this turn.
    var streaming: [Int] = []
    /// Bytes on their way to each follower, of all partitions together.
    var inFlight: [NodeID: Int] = [:]
    /// Partitions that wait until a follower has taken more of the others, each once.
    var starved: [NodeID: Deque<Int>] = [:]
    /// Followers that have taken something since.
    var eased: [NodeID] = []
    let followerBytes: Int
    /// When each follower's broker was heard of last; those of earlier versions are not in it.
    var heard: OrderedDictionary<NodeID, Instant> = [:]
    var lastTick: Instant?
    /// When leaders are told next that their followers are there.
    var presenceDue = Instant(nanoseconds: 0)
    /// What may still be sent to copies that are not in sync, and what is added with each tick.
    var catchUpCredit: Int
    let catchUpPerTick: Int
    /// Partitions that wait for more of it.
    var throttled: [Int] = []
    /// Partitions that owe their leader an acknowledgement.
    var acknowledging: [Int] = []
    /// Partitions whose leader has not heard where their logs durably begin.
    var trimming: [Int] = []
    /// Partitions whose followers have not heard of the newest watermark.
    var moved: [Int] = []
    var progressDue: Instant?
    /// Partitions whose files are being removed, and those of them that are wanted again.
    var erasing: Set<TopicPartition> = []
    var reopening: [TopicPartition: PartitionOrder] = [:]
    /// Partitions that a producer asked for before this shard had them: what is pipelined behind
    /// the batch that was refused must not pass for its producer's first.
    var strangers: Set<TopicPartition> = []
    /// Parts of produce requests whose partitions are between two leaders, in order.
    var held: [HeldPart] = []
    /// Until then no other broker can lead what this one leads.
    var leaseUntil = Instant(nanoseconds: 0)
    /// What followers were asked while the lease ran out and have not answered: a few messages.
    var pendingClaims: [PendingClaims] = []
    var claimSerial: UInt64 = 0
    var claimsDue = Instant(nanoseconds: 0)
    let rules: SafetyRules
    /// Of this shard among those of its broker.
    let number: UInt16
    /// The moment of the input that is being handled.
    var clock = Instant(nanoseconds: 0)
    let disk: any Disk
    let files: FileHandleCache
    let tail: TailCache
    /// Of this process: no session with a leader has the number of another.
    let boot: BootEpoch
    var followerEffects: [FollowerMachine.Effect] = []
    /// Reused between inputs so that a steady stream allocates nothing for it.
    var machineEffects: [PartitionMachine.Effect] = []

    /// - Parameter followerBytes: the most on its way to one follower, of all partitions: what the
    ///   queue of a link holds, shared by the shards.
    /// - Parameter catchUpBytesPerSecond: the most sent to copies that are not in sync.
    public init(
        disk: any Disk, files: FileHandleCache, tail: TailCache, boot: BootEpoch = BootEpoch(0),
        number: UInt16 = 0, followerBytes: Int = 4 << 20,
        catchUpBytesPerSecond: Int = 100 << 20
    ) {
        self.init(
            disk: disk, files: files, tail: tail, boot: boot, number: number,
            followerBytes: followerBytes, catchUpBytesPerSecond: catchUpBytesPerSecond,
            rules: SafetyRules())
    }

    package init(
        disk: any Disk, files: FileHandleCache, tail: TailCache, boot: BootEpoch,
        number: UInt16, followerBytes: Int, catchUpBytesPerSecond: Int, rules: SafetyRules
    ) {
        self.rules = rules
        self.number = number
        catchUpPerTick = max(1, catchUpBytesPerSecond * Int(Self.tickMilliseconds) / 1_000)
        catchUpCredit = catchUpPerTick
        self.boot = boot
        self.followerBytes = followerBytes
        self.disk = disk
        self.files = files
        self.tail = tail
    }

    public mutating func handle(_ input: Input, now: Now, into effects: inout [Effect]) {
        clock = now.instant
        switch input {
        case .produce(let work): produce(work, now: now, into: &effects)
        case .fetch(let work): fetch(work, now: now, into: &effects)
        case .settle(let token): settle(token, now: now, into: &effects)
        case .forget(let token): forget(token)
        case .ask(let token, let questions):
            ask(questions, token: token, now: now, into: &effects)
        case .open(let order): open(order, now: now, into: &effects)
        case .assume(let id, let role): assume(id, role, now: now, into: &effects)
        case .close(let id, let delete): close(id, delete: delete, into: &effects)
        case .configure(let id, let configuration): configure(id, configuration, into: &effects)
        case .replication(let from, let message):
            hear(presence: message, of: from)
            hear(fromFollower: message, from, into: &effects)
            hear(fromLeader: message, from, now: now, into: &effects)
            hear(promise: message, of: from, into: &effects)
            if case .inquire(let partitions) = message {
                tellHoldings(of: partitions, to: from, into: &effects)
            }
        case .linkLost(let node): linkLost(node, now: now, into: &effects)
        case .proposalEnded(let id, let serial, let isUnknown):
            proposalEnded(id, serial, isUnknown: isUnknown, into: &effects)
        case .lease(let until): leaseUntil = until ?? Instant(nanoseconds: 0)
        case .tick: tick(now: now, into: &effects)
        case .turnEnded: endTurn(into: &effects)
        case .scan(let load, let offset): scan(load, from: offset, into: &effects)
        case .finished(let outcome): finished(outcome, now: now, into: &effects)
        case .wake: expire(now: now, into: &effects)
        case .maintain: maintain(now: now, into: &effects)
        case .flushInterval: flushInterval(into: &effects)
        case .stop: stop(into: &effects)
        }
        serveWaitingConsumers(now: now, into: &effects)
        scheduleProgress(now: now.instant)
        announceWake(into: &effects)
    }

    /// Whether a turn left something to send.
    public var hasToSend: Bool {
        !streaming.isEmpty || !acknowledging.isEmpty || !eased.isEmpty || !trimming.isEmpty
    }

    private mutating func endTurn(into effects: inout [Effect]) {
        sendToFollowers(into: &effects)
        sendAcknowledgements(into: &effects)
        tellTrimmed(into: &effects)
    }

    mutating func nextSerial() -> UInt64 {
        serial += 1
        return serial
    }

    /// Asks for one timer, and only where an earlier one is not under way already.
    private mutating func announceWake(into effects: inout [Effect]) {
        while let first = deadlines.min, !isPending(first) { deadlines.removeMin() }
        guard let first = deadlines.min else { return }
        if let announced = announcedWake, announced <= first.at { return }
        announcedWake = first.at
        effects.append(.wake(at: first.at))
    }

    private func isPending(_ deadline: Deadline) -> Bool {
        switch deadline.kind {
        case .fetch: fetches[deadline.serial] != nil
        case .produce: produces[deadline.serial] != nil
        case .follower:
            partitions.isOccupied(Int(deadline.serial))
                && partitions.followerWake(Int(deadline.serial)) == deadline.at
        case .progress: progressDue == deadline.at
        case .held: held.contains { $0.serial == deadline.serial }
        case .trim: questionnaires[deadline.serial] != nil
        }
    }

    private mutating func expire(now: Now, into effects: inout [Effect]) {
        announcedWake = nil
        while let first = deadlines.min, first.at <= now.instant {
            deadlines.removeMin()
            guard isPending(first) else { continue }
            switch first.kind {
            case .fetch: finishFetch(first.serial, into: &effects)
            case .produce: expireProduce(first.serial, now: now, into: &effects)
            case .follower: wakeFollower(Int(first.serial), now: now, into: &effects)
            case .progress: tellProgress(into: &effects)
            case .held: expireHeld(into: &effects)
            case .trim: expireTrims(into: &effects)
            }
        }
    }
}

/// The in-sync set that a leader wants decided, on top of the state that it knows to be chosen.
public struct InSyncWish: Sendable {
    public let partition: TopicPartition
    let state: PartitionState
    let inSync: [ReplicaID]
    /// Of this wish, for its answer.
    let serial: UInt64
}

/// When a pending request has to be answered at the latest.
struct Deadline: Comparable {
    /// Which map holds the request.
    enum Kind { case produce, fetch, follower, progress, held, trim }

    let at: Instant
    let serial: UInt64
    let kind: Kind

    static func < (left: Deadline, right: Deadline) -> Bool {
        (left.at, left.serial) < (right.at, right.serial)
    }

    static func == (left: Deadline, right: Deadline) -> Bool { left.serial == right.serial }
}

/// What an operator should hear of a partition; the shell writes it as a log line.
public enum ShardNotice: Sendable {
    case recovered(TopicPartition, RecoveryReport)
    case openFailed(TopicPartition, String)
    case writeFailed(TopicPartition, String)
    /// It was written after such a failure.
    case writesAgain(TopicPartition)
    /// A batch that was whole once is not any more.
    case unreadable(TopicPartition, segment: Offset, position: Int64)
    case syncFailed(TopicPartition, String)
    case maintenanceFailed(TopicPartition, String)
    /// A follower had to drop what it knew to be committed.
    case committedCut(TopicPartition, ReplicationAlarm)

    public var partition: TopicPartition {
        switch self {
        case .recovered(let id, _), .openFailed(let id, _), .writeFailed(let id, _),
            .writesAgain(let id), .unreadable(let id, _, _), .syncFailed(let id, _),
            .maintenanceFailed(let id, _), .committedCut(let id, _):
            id
        }
    }
}
