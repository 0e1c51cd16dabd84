/// The named bounds of `Replication`, each with the reason for its number.
public enum ReplicationLimits {
    /// Replicas of one partition: five voters survive two failures and so do five copies; three
    /// times that leaves room for a move of all of them, and sixteen make every search linear.
    public static let replicasMaximum = 16
    /// Bytes on their way to one follower of one partition: a 10 Gbit/s link with 0.8 ms there
    /// and back stays full, and a thousand partitions that catch up take a gigabyte at most.
    public static let streamBytesInFlight = 1 << 20
    /// Unacknowledged sends that a stream tells apart; further ones count with the last of them.
    public static let streamSendsInFlight = 64
    /// How far a follower may be behind, or gone, before it leaves the in-sync set: the design's
    /// one second, a third of Kafka's default for a link that is measured in microseconds.
    public static let lagMillisecondsMaximum: Int64 = 1_000
    /// How often a follower says that it is there: three times within that second.
    public static let presenceMilliseconds: Int64 = 300
    /// When a broker that says so is silent: the next word is late by half, and nothing else came.
    public static let silenceMilliseconds = presenceMilliseconds * 3 / 2
    /// How long one whose link broke may be away: it attaches again within 20 ms of a new link, and
    /// all partitions that it follows wait for it. Half of the above: a silence with a reason.
    public static let detachedMillisecondsMaximum: Int64 = 500
    /// A follower's lag is measured to a sixteenth: samples of 16 bytes for each partition led.
    public static let endSamplesPerLag: Int64 = 16
    /// How long after a refused or unanswered proposal the next one is made: longer than a round
    /// of Paxos on one site, so that a leader never duels with itself.
    public static let proposalRetryMilliseconds: Int64 = 100
    /// The longest that a follower which falls out again and again waits until it may join.
    public static let rejoinMillisecondsMaximum: Int64 = 30_000
    /// A follower that stayed in sync for so long is forgiven its earlier falls.
    public static let steadyMilliseconds: Int64 = 60_000
    /// The first and the longest pause before a follower attaches again.
    public static let attachMillisecondsMinimum: Int64 = 20
    public static let attachMillisecondsMaximum: Int64 = 1_000
    /// How long an unanswered attach is waited for: several round trips on a slow link.
    public static let attachTimeoutMilliseconds: Int64 = 500
    /// How long a lease lasts on the holder's clock (reference, section 12).
    public static let leaseMilliseconds: Int64 = 1_500
    /// How often it is renewed: four may be lost in a row.
    public static let leaseRenewalMilliseconds: Int64 = 300
    /// How often a leader whose lease runs out asks for promises: two may be lost in a row, and
    /// naming every partition to every follower costs more than a renewal.
    public static let promiseMilliseconds: Int64 = 450
    /// How much longer a voter honours it: two clocks that drift apart by 1 %, which is twenty
    /// times what NTP may slew, and 20 ms for a clock that is read late.
    public static let leaseHonouredMilliseconds = leaseMilliseconds * 101 / 100 + leaseSlack
    private static let leaseSlack: Int64 = 20
    /// Voters of two rosters (five each, seven by flag).
    public static let votersMaximum = 14
    /// What each rank waits longer than the one before: a failover's batched round of Paxos takes
    /// less, so the next rank sees its outcome (reference, section 10).
    public static let campaignRankMilliseconds: Int64 = 75
    /// Random part of that wait, so that two views of the placement do not duel in step.
    public static let campaignJitterMilliseconds: Int64 = 25
    /// The longest pause of a campaign after failures; a broker that comes back ends it.
    public static let campaignMillisecondsMaximum: Int64 = 2_400
    /// Partitions that one coalesced message names: 64 KiB of them, which one read takes in.
    public static let entriesPerMessage = 2_048
    /// Bytes of records in one append: a batch may have Kafka's largest message and its header,
    /// with room for a `max.message.bytes` far above the default.
    public static let appendBytesMaximum = 64 << 20
}
