public import Model
internal import NIOCore

/// What this member believes about another: a hint, never a decision.
public enum MemberStatus: UInt8, Hashable, Sendable {
    /// Admitted, and no record of its own was seen yet.
    case unheard = 0
    case alive = 1
    case suspect = 2
    case dead = 3
    case left = 4

    /// Whether it takes part: it is probed and told rumours.
    public var isPresent: Bool { self == .alive || self == .suspect }
}

/// A suspicion under way: who accuses, and until when the suspect may refute.
struct Suspicion {
    var life: MemberLife
    let start: Instant
    /// The first accuser and the independent confirmations, each once.
    var accusations: [Accusation]
    /// Confirmations that shorten it; more are counted but not passed on.
    let wanted: Int
    let minimum: Double
    let maximum: Double
    var deadline: Instant
    /// Confirmations that were counted.
    var confirmed = 0

    /// Lifeguard IV.B: max(min, max - log(c+1)/log(k+1) * (max-min)).
    func deadline(confirmations: Int) -> Instant {
        guard wanted > 0 else { return start.advanced(byMilliseconds: Int64(minimum)) }
        let part = logarithm(Double(confirmations + 1)) / logarithm(Double(wanted + 1))
        let length = max(minimum, maximum - part * (maximum - minimum))
        return start.advanced(byMilliseconds: Int64(length))
    }
}

/// The last round trips of direct probes to one member, in microseconds.
struct RoundTrips {
    private var samples = InlineArray<16, UInt32>(repeating: 0)
    private var written = 0

    mutating func add(_ microseconds: Int64) {
        samples[written % GossipLimits.roundTrips] = UInt32(clamping: microseconds)
        written += 1
    }

    /// Nil where none was measured.
    func percentile(_ part: Double) -> Int? {
        let count = min(written, GossipLimits.roundTrips)
        guard count > 0 else { return nil }
        var sorted: [UInt32] = []
        for index in 0..<count { sorted.append(samples[index]) }
        sorted.sort()
        return Int(sorted[min(count - 1, Int(Double(count) * part))])
    }
}

/// All that the machine keeps of another member.
struct Member {
    let node: NodeID
    var admission: AdmissionRecord
    var status = MemberStatus.unheard
    var life = MemberLife(boot: BootEpoch(0), incarnation: Incarnation(0))
    var record: SelfRecord?
    var since: Instant
    var suspicion: Suspicion?
    /// Why it is dead or was forced out.
    var evidence: [Accusation] = []
    /// Its boot for which datagrams have keys: no datagram precedes a handshake.
    var keyedBoot: BootEpoch?
    var connectingSince: Instant?
    var lastHeard: Instant?
    var silentDatagrams = 0
    var isDatagramBlocked = false
    var roundTrips = RoundTrips()
    /// Its part of the member digest, to be taken away again.
    var fingerprint: UInt64 = 0
    var accusationTokens = Double(GossipLimits.accusationBurst)
    var accusationTokensAt: Instant

    init(_ admission: AdmissionRecord, now: Instant) {
        node = admission.node
        self.admission = admission
        since = now
        accusationTokensAt = now
    }

    /// Whether datagrams to it, as it lives now, have keys.
    var isKeyed: Bool { keyedBoot == life.boot }
    /// Its boot, where no keys are known of any.
    var bootWithoutKeys: BootEpoch? { keyedBoot == nil ? life.boot : nil }

    /// The statements that its status rests on.
    var accusations: [Accusation] { suspicion?.accusations ?? evidence }

    func isAccused(by accuser: NodeID) -> Bool {
        accusations.contains { $0.accuser == accuser }
    }

    /// What peers compare: suspicions are too short-lived to be part of it.
    var digestFingerprint: UInt64 {
        guard record != nil else { return 0 }
        let rank: UInt64 =
            switch status {
            case .unheard, .alive, .suspect: 0
            case .dead: 1
            case .left: 2
            }
        return DigestTree.fingerprint(
            UInt64(UInt32(bitPattern: node.rawValue)), life.boot.rawValue,
            UInt64(life.incarnation.rawValue), rank)
    }
}

/// One member as another sees it, for the command line and for the rest of the broker.
public struct MemberSnapshot: Hashable, Sendable {
    public let node: NodeID
    public let status: MemberStatus
    public let life: MemberLife
    public let admission: AdmissionRecord
    /// What it says of itself; nil until it was heard.
    public let description: SelfDescription?
    public let isDatagramBlocked: Bool
    public let accusers: [NodeID]
    /// Since when it has this status.
    public let since: Instant
    /// When a suspect is declared dead unless it refutes.
    public let deadline: Instant?
    public let lastHeard: Instant?
    public let roundTripMicrosecondsP50: Int?
    public let roundTripMicrosecondsP99: Int?

    init(_ member: Member) {
        node = member.node
        status = member.status
        life = member.life
        admission = member.admission
        description = member.record?.description
        isDatagramBlocked = member.isDatagramBlocked
        accusers = member.accusations.map(\.accuser)
        since = member.since
        deadline = member.suspicion?.deadline
        lastHeard = member.lastHeard
        roundTripMicrosecondsP50 = member.roundTrips.percentile(0.5)
        roundTripMicrosecondsP99 = member.roundTrips.percentile(0.99)
    }
}

/// A member as it is kept on disk, so that a mesh finds itself again after a whole outage.
///
///     0        version, 1
///     1        status
///     2        length, UInt16, and the self-record
public struct PersistedMember: Hashable, Sendable {
    public let status: MemberStatus
    public let record: SelfRecord

    public init(status: MemberStatus, record: SelfRecord) {
        self.status = status
        self.record = record
    }
}
