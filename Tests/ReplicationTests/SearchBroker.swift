import Model
import Replication

/// A record of a search: which leader wrote it, and what.
struct SearchRecord: Hashable {
    let epoch: Int32
    let value: Int
}

/// A log in memory of which a power cut leaves what was synced, and maybe some more.
struct SearchLog {
    var records: [SearchRecord] = []
    var synced = 0

    var end: Offset { Offset(Int64(records.count)) }
    var lastEpoch: LeaderEpoch { LeaderEpoch(records.last?.epoch ?? -1) }

    /// The largest epoch up to that one, and where it ends (KIP-320).
    func endOffset(for epoch: LeaderEpoch) -> (epoch: LeaderEpoch, end: Offset)? {
        guard let last = records.lastIndex(where: { $0.epoch <= epoch.rawValue }) else {
            return nil
        }
        return (LeaderEpoch(records[last].epoch), Offset(Int64(last + 1)))
    }

    mutating func truncate(to end: Int) {
        records.removeLast(records.count - end)
        synced = min(synced, end)
    }
}

/// One broker with its one replica: everything that the pure machines do not own.
struct SearchBroker {
    let node: NodeID
    let clock: DriftingClock
    var id: ReplicaID
    var boot = BootEpoch(1)
    var isUp = true
    var pausedUntil: Int64 = 0
    /// Raised by a restart, so that what an earlier life asked for is not taken for this one's.
    var life = 0
    var log = SearchLog()
    var known: PartitionState
    /// What is on its disk of that when it crashes: what is learned is written and not synced.
    var former: PartitionState
    var formerAt: Int64 = 0
    var leading: PartitionMachine
    var following: FollowerMachine
    var holder: LeaseHolder
    var complete = CompleteSetLease()
    var promise: CampaignPromise
    var campaign: Campaign?
    /// The lease generation in which it was found that this broker leads.
    var ledGeneration: UInt64?
    /// An earlier promise to another leader binds until then.
    var servesFrom = Instant(nanoseconds: 0)
    var streams: [Int: FollowerStream] = [:]
    var recognisedAt: [UInt64: Instant] = [:]
    var recogniseSerial: UInt64 = 0
    var suspectSince: Int64?
    var isTakingOver = false
    var ledEpoch = LeaderEpoch.unknown
    /// Of the register as this life read it first, or led it last.
    var firstRead: LeaderEpoch?
    var isSyncing = false
    var watermarkOfEpoch: (epoch: LeaderEpoch, mark: Offset)?

    var leads: Bool { leading.leadership != nil }

    /// Whether it believes that it may serve.
    func serves(at now: Int64, _ rules: ReplicationRules) -> Bool {
        guard isUp, leads else { return false }
        let instant = clock.instant(now)
        if rules.campaignPromiseRespected, instant < servesFrom { return false }
        let isConfirmed = ledGeneration == holder.generation
        return (isConfirmed && holder.isHeld(at: instant)) || complete.isHeld(at: instant)
    }
}

/// What travels on the link between two brokers; it is in order, or the link breaks.
enum SearchMessage {
    case attach(AttachRequest)
    case attached(AttachSession, LogAgreement, LeaderProgress)
    case refused(AttachSession, AttachRefusal)
    case append(AttachSession, LeaderEpoch, base: Offset, LeaderProgress, [SearchRecord])
    case acknowledged(ReplicaID, LeaderEpoch, Offset)
    case progress(AttachSession, LeaderProgress)
    case recognise(UInt64, LeaderEpoch)
    case recognised(UInt64, ReplicaID, LeaderEpoch)
}

/// A voter: a single-register acceptor with its book of leases.
struct SearchVoter {
    let clock: DriftingClock
    var life = BootEpoch(1)
    var downUntil: Int64 = 0
    var promised = 0
    var acceptedBallot = 0
    var accepted: PartitionState
    var book: LeaseBook
    /// Brokers that do not reach it until then.
    var cutUntil: [Int64]
}

/// A change of the register under way: prepared at one moment, accepted by voters one by one.
struct SearchProposal {
    /// What its outcome means to the proposer.
    enum Purpose: Hashable {
        case elect
        case alterInSync(UInt64)
        case transfer
        /// To find out whether it leads; nil where no confirmation of the lease waits for it.
        case confirm(UInt64?)
    }

    let broker: Int
    let life: Int
    let generation: UInt64
    let purpose: Purpose
    let change: (PartitionState) -> PartitionState.Outcome
    var ballot = 0
    var value: PartitionState?
    /// The proposer's own change is what is proposed, and not one that another began.
    var isOwn = true
    var accepts = 0
    var isChosen = false
    var held: Int64 = 0
    var wasSent = false
}
