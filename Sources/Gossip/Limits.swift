/// The named bounds of `Gossip`, each with the reason for its number.
public enum GossipLimits {
    /// What a datagram's payload may hold: 1,400 bytes pass every path that carries an Ethernet
    /// frame through a tunnel, less 60 for the transport's header and tag.
    public static let datagramPayloadBytes = 1_340
    /// The longest message over a link: the largest chosen value with its key and ballot.
    public static let messageBytes = 4 * 1024 * 1024 + 4 * 1024
    /// Where a list of values or entries is cut into another message: large enough to amortise a
    /// record of the link, small enough not to delay what comes behind it.
    static let messageTargetBytes = 256 * 1024
    /// A larger chosen value is advertised by datagram and pulled over the link, so that one value
    /// never takes more than a third of a packet from the others.
    static let datagramValueBytes = 512
    /// A larger self-record would not fit beside an accusation; 900 holds four addresses and
    /// eight endpoints with ordinary host names.
    static let selfRecordBytes = 900
    /// A host has two address families on two networks at most.
    static let addressesPerMember = 4
    /// A listener each for clients inside, outside, TLS and administration, twice.
    static let endpointsPerMember = 8
    /// RFC 1035's longest host name; the names of racks and listeners are shorter.
    static let textBytes = 255
    /// Parts of one packet: its count is one byte, and a part has at least 14 bytes.
    static let partsPerPacket = 95
    /// Accusations sent beside one member's state: more than any suspicion needs to confirm.
    static let evidencePerMember = 8
    /// Members: ten times what anybody runs in one gossip pool (Consul advises 5,000).
    static let members = 50_000
    /// Self-records that wait for their admission, from joins under way.
    static let waitingRecords = 1_024
    /// Rumours about members that wait: four of each member of a mesh of 1,000.
    static let memberRumours = 4_096
    /// Rumours about the table that wait; past it the digests find what was dropped.
    static let tableRumours = 8_192
    /// Changes and marks of feeds that wait: a mark of each slot of a large offsets topic, and what
    /// a few busy groups commit in a second.
    static let feedRumours = 1_024
    /// Slots that may have a feed: the largest offsets topic that anybody runs.
    public static let slots = 4_096
    /// Feeds that are copied: those slots, and the ends of as many brokers.
    static let feeds = 8_192
    /// A group's and a topic's name of 249 bytes each, twice: a longer key is not copied.
    public static let feedKeyBytes = 1_024
    /// Kafka's `offset.metadata.max.bytes` with what stands beside it, twice.
    public static let feedValueBytes = 8_192
    /// Entries of one feed together, as they travel: about 40,000 positions. A whole feed is one
    /// message, and this leaves room for what is around it.
    public static let feedBytes = 3 * 1024 * 1024
    /// Entries of all feeds together: 800,000 positions. Beyond it a copy is marked as partial.
    public static let feedsBytes = 64 * 1024 * 1024
    /// Elections of one slot between two looks at its register, many times over.
    static let epochsAhead: Int64 = 64
    /// Copies that are written to disk at a time: some milliseconds of the loop, and with a round
    /// every five seconds less than a megabyte a second of any disk.
    static let savedFeedBytes = 4 * 1024 * 1024
    /// Tombstones that one feed keeps: past it the older half is forgotten, and who is behind them
    /// is sent the feed whole.
    static let feedTombstones = 4_096
    /// Changes of a feed that came before what they follow.
    static let feedLinks = 64
    /// A larger change is not told by datagram but pulled.
    static let feedChangeBytes = 512
    /// Changes that the owner of feeds tells by datagram: a burst, and then as many a second. With
    /// 100 bytes a change and 12 transmissions that is 24 KB/s of each member in a mesh of three at
    /// the very most; what is beyond it is told by marks, and pulled.
    static let feedChangeBurst = 64
    static let feedChangesPerSecond = 20
    /// Between two pulls, and between two marks, of one feed.
    static let feedPullMilliseconds: Int64 = 1_000
    /// Pulls of one state, each of another member, before it is given up.
    static let feedPulls = 10
    /// How long a change waits for the one that it follows before that is pulled.
    static let feedGapMilliseconds: Int64 = 300
    /// A feed that does not change tells its mark again after so long, or after a second for each
    /// member: by which readers know that their copy is not old. It rides on probes.
    static let feedMarkMilliseconds: Int64 = 30_000
    /// Feeds named in one message.
    static let feedsPerMessage = 4_096
    /// Probes that this member does for others at a time: three askers for each of 85 members.
    static let relays = 256
    /// Keys whose Paxos read is under way: one batch of the proposer.
    static let confirmations = 4_096
    /// Keys that are being pulled from peers: the table of a mesh with 100,000 partitions, twice.
    static let wants = 262_144
    /// So few values in one message of an exchange are passed on as rumours, because others may
    /// lack them too; more are a newcomer's table.
    public static let valuesThatAreNews = 32
    /// Members that are sent what was chosen in bulk at once: a partition's replicas are among them
    /// in any mesh of up to so many, and 256 KiB to each take a millisecond of a link. In a larger
    /// mesh it goes by rumour.
    public static let bulkPeers = 32
    /// Keys asked of one peer at a time.
    static let wantsPerMessage = 256
    /// Bytes of values that one peer is asked for at a time: two of the largest.
    static let wantedBytesPerPeer = 8 * 1024 * 1024
    /// A pull unanswered for so long is asked of somebody else: a link of 1 MB/s moves 4 MB.
    static let wantTimeoutMilliseconds: Int64 = 4_000
    /// A Paxos read unanswered for so long may be asked again.
    static let confirmTimeoutMilliseconds: Int64 = 10_000
    /// Keys of traces seen, to tell the first arrival from a duplicate.
    static let traces = 256
    /// The round trips of a member that are remembered for its percentiles.
    static let roundTrips = 16
    /// Rounds of anti-entropy that this member may begin in a second: a join of 100 members at
    /// once is spread over ten seconds at each of them.
    static let descentsPerSecond = 10
    /// Fresh suspicions on own evidence: a burst, then as many a second. A sick member then accuses
    /// few (consul#5567), and a real crash of a rack is found by everybody else too.
    static let suspicionBurst = 4
    static let suspicionsPerSecond = 2
    /// Suspects that a member asks in one moment when it is not cut off any more: the rounds ask
    /// the others, and no link is flooded just when it is back.
    static let suspectsAskedAtOnce = 32
    /// Accusations taken from one accuser: its own cap, with room for dead and repeated ones.
    static let accusationBurst = 24
    static let accusationsPerSecond = 8
    /// Probes in a row that only TCP answered until UDP counts as blocked: with 5 % loss each way
    /// one is ordinary and two come once in a hundred.
    static let silentDatagramsUntilBlocked = 2
    /// So many of the last 16 probes answered by a helper or over TCP only tell of a network that
    /// loses datagrams: at 5 % loss it is one or two, at 25 % seven, and none on a sound one.
    static let helpedProbesOnALossyNetwork = 3
    /// Transmissions of a rumour in meshes of 11 to 999 (memberlist: 8, and 12 from 100 on): at
    /// 25 % loss 8 miss somebody among 30 in one of 15 rumours, and 12 among 100 in one of 40.
    /// From 1,000 on it is 16 anyway.
    static let transmissionsAboveTen = 16
    /// Ticks of gossip that may be saved up for a fresh rumour, beyond one for each interval.
    static let pushBurst = 3
    /// Fresh rumours of one moment share packets.
    static let batchingMilliseconds: Int64 = 2
    /// A contact over TCP that was not answered is not repeated before.
    static let connectPatienceMilliseconds: Int64 = 1_000
    /// Between attempts to reach seeds: doubled from the first to the second.
    static let seedBackoffMilliseconds: ClosedRange<Int64> = 1_000...10_000
    /// Each dead member is contacted as often, but all together at most once a second.
    static let deadContactMilliseconds: Int64 = 10_000
    static let deadContactMinimumMilliseconds: Int64 = 1_000
    /// How long a leaving member spreads its goodbye at most.
    static let lingerMilliseconds: Int64 = 1_000
    /// Members that have to have heard a goodbye before it is left to them: with as many, a rumour
    /// is lost only if all of them die in the same moment.
    static let farewellsHeard = 3
    /// Members that are told at a time: some more than are needed, because datagrams get lost.
    static let farewellPeers = 5
    /// The lease: without a majority of voters for longer, and with a third of the mesh silent, a
    /// member assumes that it is the sick one.
    static let leaseMilliseconds: Int64 = 1_500
    /// Leaves and branches of a digest tree: 1,024 buckets of 8 bytes, 32 below each branch.
    static let digestLeaves = 1_024
    static let digestBranches = 32
    /// The prefix of the registers that admit members.
    static let admissionPrefix = "members/"
}
