public import Gossip
public import Model
internal import NIOCore

/// One member of a simulated mesh: its machine, its address, and what waits while it is frozen.
public struct SimulatedMember {
    public let node: NodeID
    public internal(set) var address: MeshAddress
    /// Nil while it is down.
    public internal(set) var machine: GossipMachine?
    /// Stored, because asking the machine would copy the member.
    public internal(set) var isUp = false
    public internal(set) var boot: UInt64 = 0
    public internal(set) var traffic = TrafficCount()
    var freeze: (kind: FreezeKind, until: Instant)?
    var stalls: StallCycle?
    var inbox: [Delivery] = []
    /// Kernel memory that the datagrams in `inbox` take.
    var inboxBytes = 0
    var outbox: [GossipEffect] = []
    var nextWake: Instant?
    var isWakeDue = false
    /// While it is put into a state without having talked.
    var isMuted = false

    public var isFrozen: Bool { freeze != nil }

    init(node: NodeID, address: MeshAddress) {
        self.node = node
        self.address = address
    }
}

/// The anomaly of the Lifeguard paper: for `duration` nothing that is sent or was received passes,
/// then for `interval` everything does, and so on until `end`.
struct StallCycle {
    let durationMilliseconds: Int64
    let intervalMilliseconds: Int64
    let end: Instant
}

/// What arrives at a member.
enum Delivery {
    case datagram(from: Int, keyed: UInt32, ByteBuffer)
    case message(from: Int, ByteBuffer)
    /// A peer dials; `started` measures the handshake.
    case dial(from: Int, id: UInt64, dialled: MeshAddress?, started: Instant)
    case answered(from: Int, id: UInt64, dialled: MeshAddress?, started: Instant)
    case linkFailed(peer: NodeID, LinkFailure)
    case dialTimeout(to: Int, id: UInt64)
    case confirmed(String, ChosenValue?)
}

/// What stands on the timeline.
enum MeshEvent {
    case wake(Int, boot: UInt64)
    case deliver(Delivery, to: Int, boot: UInt64)
    case thaw(Int)
    case freeze(Int, FreezeKind, until: Instant)
    case stall(Int, boot: UInt64)
}
