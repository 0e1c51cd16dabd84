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
    var anomaly: SendAnomaly?
    var inbox: [Delivery] = []
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

/// Stops a member right before it sends, for a while, again and again: the anomaly of the Lifeguard
/// paper. A probe is then on its way as far as the member knows, and its time runs.
struct SendAnomaly {
    let durationMilliseconds: Int64
    let intervalMilliseconds: Int64
    let end: Instant
    /// From when the next send stops it.
    var armedAt: Instant
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
}
