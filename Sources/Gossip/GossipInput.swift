public import Model
public import NIOCore

/// A handshake with a peer that succeeded: both ends know each other's boot and have keys.
public struct LinkUp: Hashable, Sendable {
    public let peer: NodeID
    public let boot: BootEpoch
    public let roundTripMicroseconds: Int64?
    /// What was dialled, as it stands in the configuration where it was a seed; nil on the
    /// accepting side.
    public let dialled: MeshAddress?

    public init(
        peer: NodeID, boot: BootEpoch, roundTripMicroseconds: Int64? = nil,
        dialled: MeshAddress? = nil
    ) {
        self.peer = peer
        self.boot = boot
        self.roundTripMicroseconds = roundTripMicroseconds
        self.dialled = dialled
    }
}

/// What happened outside, or what somebody decided.
public enum GossipInput: Sendable {
    /// This broker starts, with what its disk remembers.
    case start(members: [PersistedMember], table: [ChosenValue])
    /// The moment asked for by `wake` has come; late or needless ones are harmless.
    case wake
    /// A datagram's payload, decrypted and from whom the transport says.
    case datagram(from: NodeID, ByteBuffer)
    /// A message over an authenticated link, in order.
    case message(from: NodeID, ByteBuffer)
    /// A handshake succeeded: counts as a successful probe.
    case linkOpened(LinkUp)
    /// A link could not be had or ended.
    case linkFailed(NodeID, LinkFailure)
    /// A seed could not be reached.
    case seedFailed(MeshAddress, LinkFailure)
    /// Values that this broker's own Paxos chose or read.
    case chosen([ChosenValue])
    /// Values of the table that these members are waiting for: sent to them over their links at
    /// once, beside the rumour that everybody gets.
    case push([ChosenValue], to: NodeID)
    /// The answer to `confirm`: what the register holds, nil for nothing.
    case confirmed(key: String, ChosenValue?)
    /// Tombstones up to here are forgotten, and unknown keys up to here are doubted.
    case setFloor(Ballot)
    /// Copies of feeds, as `persistFeeds` gave them to the disk before the last stop.
    case restoreFeeds([ByteBuffer])
    /// What this broker, the owner of a feed, has to say; nothing new says that nothing is.
    case publish(FeedNews)
    /// The leader epochs of the slots of the offsets topic, by slot: nobody is believed who
    /// tells of another topic or of much later ones.
    case slotEpochs(SlotEpochs?)
    /// Have every member send what it has of every feed: before what was lost is recovered.
    case pullFeeds
    /// Say `persistFeeds` for what has changed since the last time, or for a part of it.
    case saveFeeds(all: Bool)
    /// The offsets topic with this half of an id is gone, and its slots with it.
    case forgetSlots(of: UInt64)
    /// This broker's addresses, endpoints or version changed.
    case describe(SelfDescription)
    /// Says goodbye.
    case leave
    /// An operator says that a dead member will not come back.
    case forceLeave(NodeID)
    /// An fsync took too long: this member may be the sick one.
    case slowDisk
    /// When a majority of the voters last answered this broker.
    case voterAnswers(at: Instant)
    /// Sends a rumour to be watched.
    case trace(id: UInt64)
}

/// What the shell, or the rest of the broker, has to do.
public enum GossipEffect: Sendable {
    /// At most `GossipLimits.datagramPayloadBytes`.
    case sendDatagram(to: NodeID, ByteBuffer)
    /// Over the link with the peer, which is opened where there is none.
    case sendMessage(to: NodeID, ByteBuffer)
    /// Open a link, at any of the addresses; answered by `linkOpened` or `linkFailed`.
    case connect(NodeID, [MeshAddress])
    /// Resolve the seeds' names again and open a link to each.
    case contactSeeds([MeshAddress])
    /// Only the last one asked for counts.
    case wake(at: Instant)
    case memberChanged(MemberSnapshot)
    /// The member's admission was revoked or is gone: close its links and drop its keys.
    case memberRemoved(NodeID)
    /// Values that entered the table, in order.
    case tableChanged([ChosenValue])
    /// Write each of these under its name, in place of what was there.
    case persistFeeds([(name: String, ByteBuffer)])
    case removeFeed(name: String)
    /// `persistedMembers` changed.
    case persistMembers
    /// Read these registers through Paxos and say `confirmed` for each.
    case confirm([String])
    case alarm(GossipAlarm)
    /// This member assumes that it is the sick one (or no more): stop proposing.
    case selfIsolated(Bool)
    /// The goodbye was spread: links may be closed.
    case left
    case event(GossipEvent)
}

/// Who this broker is in the mesh.
public struct GossipIdentity: Sendable {
    public let node: NodeID
    public let boot: BootEpoch
    public let description: SelfDescription

    public init(node: NodeID, boot: BootEpoch, description: SelfDescription) {
        self.node = node
        self.boot = boot
        self.description = description
    }
}
