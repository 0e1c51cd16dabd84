/// The named bounds of `Transport`, each with the reason for its number.
enum Limits {
    // Handshake.

    /// A cluster id is a name or a UUID; 64 bytes is generous for both.
    static let clusterIDBytes = 64
    /// The greatest handshake message is about 320 bytes; a stranger gets no more room than this.
    static let handshakeFrameBytes = 512
    /// Three flights across a continent and two loaded brokers; who needs longer holds a place.
    static let handshakeMilliseconds: Int64 = 5_000
    /// The least admission secret: below 128 bits it could be guessed from a proof.
    static let secretBytesMinimum = 16
    /// The greatest: a key file, not a document.
    static let secretBytesMaximum = 4_096
    /// Sources with a token bucket: a stranger with more addresses shares the last one.
    static let bucketSources = 1_024

    // Records.

    /// Plaintext of one record that we send: large enough for AES to run at full speed, small
    /// enough that a vote waits for no more than this behind a bulk transfer.
    static let recordPayloadBytes = 64 * 1024
    /// A record's content that is taken from a peer, so that later versions may send larger ones.
    static let recordBytes = 1 << 20
    /// Before a key has sealed so much, it is replaced.
    static let rekeyBytes: UInt64 = 64 << 30
    /// And before it is so old.
    static let rekeyMilliseconds: Int64 = 3_600_000

    // Messages.

    /// The greatest message: the largest chosen value (4 MiB) and its envelope.
    static let messageBytes = 4 * 1024 * 1024 + 4 * 1024
    /// The greatest message of a broker that isn't admitted: a join request is far smaller.
    static let candidateMessageBytes = 16 * 1024
    /// Messages that a candidate may send on one link: enough to join, too few to work.
    static let candidateMessages = 16
    /// Streams with credit on one link, each way: shards of a large machine.
    static let streams = 64
    /// What a stream's sender may have outstanding: 10 Gbit/s over a round trip of 0.8 ms. A
    /// message may begin while any credit is left, so that a great one needs no greater window.
    static let streamCreditBytes = 1 << 20
    /// Messages of streams with credit that a sender interleaves: more would only delay the first.
    static let unfinishedMessages = 3
    /// Unfinished messages of one link together: those, and one of control.
    static let assemblyBytes = (unfinishedMessages + 1) * messageBytes
    /// Socket buffer above which a link sends no more records until it drains.
    static let unsentBytes = 256 * 1024

    // Links.

    /// A link on which nothing was sent for so long gets a ping.
    static let pingMilliseconds: Int64 = 10_000
    /// A link on which nothing came for so long is dead: three pings.
    static let silenceMilliseconds: Int64 = 30_000
    /// Two links of one pair made within this time count as opened at once.
    static let simultaneousMilliseconds: Int64 = handshakeMilliseconds
    /// How long a link that said goodbye waits for what the peer had sent already.
    static let goodbyeMilliseconds: Int64 = 5_000
    /// First pause before a kept link is opened again; doubled each time.
    static let backoffFirstMilliseconds: Int64 = 100
    /// The longest pause: a peer that returns is found within this time.
    static let backoffMaximumMilliseconds: Int64 = 10_000
    /// What waits for a link that is being opened, for one peer: one great message fits.
    static let waitingBytes = messageBytes
    /// How long a TCP connect may take before it failed.
    static let connectMilliseconds: Int64 = 5_000
    /// How often deadlines are looked at: what they bound is seconds long.
    static let tickMilliseconds: Int64 = 500

    // Datagrams.

    /// How long after the kernel closed the UDP socket another is bound: within one probe.
    static let rebindMilliseconds: Int64 = 100

    /// A whole datagram: fits any path's MTU (IPv6's minimum is 1,280, but Ethernet, tunnels and
    /// clouds carry this) without fragments.
    static let datagramBytes = 1_400
    /// The age at which keys are no longer used for sending.
    static let datagramKeyMilliseconds: Int64 = 3_600_000
    /// The age at which the side with the lower key asks for new ones, so that both don't.
    static let datagramRenewLowMilliseconds: Int64 = 50 * 60_000
    /// The age at which the other side asks, if the first did not.
    static let datagramRenewHighMilliseconds: Int64 = 56 * 60_000
    /// Replaced or expired keys still open what is on its way.
    static let datagramGraceMilliseconds: Int64 = 30_000
    /// Counters that a receiver remembers behind the highest: far beyond what a path reorders.
    static let replayWindow: UInt64 = 1_024
    /// Asked of the kernel for the UDP socket: bursts on a busy loop lost 4 to 9 % without.
    static let receiveBufferBytes = 1 << 20
    /// Tries to find a port that is free for both TCP and UDP.
    static let portTries = 32
}

/// The bounds that depend on the machine and on the mesh, with what suits most.
public struct TransportLimits: Sendable {
    /// Inbound handshakes at once: each holds a socket and about 1 KiB, so a flood is bounded; a
    /// mesh of hundreds that restarts gets through in seconds.
    public var halfOpenHandshakes = 256
    /// Links at once, of a mesh of thousands.
    public var links = 4_096
    /// Links of brokers that aren't admitted yet.
    public var candidateLinks = 64
    /// Connections that one source may open at once: a whole mesh on one address, in tests.
    public var sourceBurst = 256
    /// And those that it may open each second after that: a handshake costs 150 us.
    public var sourcePerSecond = 64
    /// What waits in one link's queue: a few of the greatest messages.
    public var outgoingBytes = 16 * 1024 * 1024
    /// A link that carried no message for so long is closed, unless it is kept.
    public var idleMilliseconds: Int64 = 60_000

    public init() {}
}
