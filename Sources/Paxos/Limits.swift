import Model

/// The named bounds of `Paxos`, each with the reason for its number.
enum Limits {
    /// A failover of 10,000 leaderships at 256 a message costs 0.16 s of fsync instead of 40 s;
    /// more gains little (reference, section 6).
    static let registersPerMessage = 256
    /// Rounds of one proposer under way before it begins another: two thousand registers. A voter
    /// takes some milliseconds for each; with ten thousand registers at once the last answers would
    /// come after their rounds were given up, and all of them be asked for again.
    static let roundsMaximum = 8
    /// Values in one message: two of the largest fit, and a hundred of the usual size.
    static let messageValueBytes = 2 * envelopeBytesMaximum
    /// The largest value, its envelope's header and its operation ids.
    static let envelopeBytesMaximum =
        ChosenValue.valueBytesMaximum + Envelope.headerBytes
        + operationsRemembered * OperationID.encodedBytes
    /// The longest message: its values, and for each register a key, two ballots and lengths.
    static let messageBytesMaximum =
        messageValueBytes + registersPerMessage * (ChosenValue.keyBytesMaximum + 64) + 1024
    /// A retry comes within a few changes or not at all (reference, section 3: 8 to 16).
    static let operationsRemembered = 8
    /// Five voters, and seven by flag, both old and new (reference, section 8).
    static let votersMaximum = 7
    /// A cluster id is a 22 character UUID; whoever brings a longer one is no broker of ours.
    static let clusterBytesMaximum = 64
    /// Nobody waits behind more rivals than a partition has replicas; further ones go together.
    static let rankMaximum = 8
    /// A lease is 1.5 s, and a voter that has just started waits for a whole one: more is a
    /// mistake.
    static let holdMillisecondsMaximum: Int64 = 60_000
    /// Keys to look through for one page of a scan: a repair's page is one message.
    static let scanMaximum = registersPerMessage
    /// Two for each roster change: nobody gets there, and adding some never overflows.
    static let generationMaximum: UInt64 = 1 << 62
    /// 48 bits: a change every microsecond lasts nine years, and adding one never overflows.
    static let counterMaximum: UInt64 = 1 << 48 - 1
    /// Requests that wait for one fsync: every broker of a large mesh has some under way.
    static let gatheredRequestsMaximum = 4096
    /// Bytes that wait for one fsync; a disk writes them within a second.
    static let gatheredBytesMaximum = 64 * 1024 * 1024
    /// Changes that wait behind another of the same register; a longer queue is a hot spot.
    static let waitingPerRegisterMaximum = 64
    /// Changes and reads that a proposer has accepted and not answered: a failover of the largest
    /// broker, six times.
    static let errandsMaximum = 65_536
    /// Registers of which duels are counted one by one; the CLI shows a page of them.
    static let duelsRememberedMaximum = 1024
}
