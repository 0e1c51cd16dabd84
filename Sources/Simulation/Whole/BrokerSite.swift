import Gossip
import Model
import Storage

/// A machine of the simulated mesh: what stays when the broker's process ends.
///
/// Owned by its world. The process that runs on it, if any, is its `life`.
final class BrokerSite {
    let index: Int
    let node: NodeID
    private(set) var disk: SimulatedDisk
    private(set) var store: StoreID
    private(set) var key: PublicKey
    /// Whether the disk belongs to the mesh already.
    var isAdmitted: Bool
    let isFounder: Bool
    var life: BrokerLife?
    /// Processes so far: what was sent to one never reaches the next.
    var lives = 0
    var isPaused = false
    /// What came while the process was paused.
    var backlog: [MeshWorld.Event] = []
    /// How much slower than usual the disk is.
    var slowness: Int64 = 1
    /// It is to be started again at that moment, if its fault is over then.
    var mayRunAt: Instant?
    /// The power goes after some more operations of the disk.
    var losesPower = false
    private(set) var wipes: UInt64 = 0

    init(index: Int, seed: UInt64) {
        self.index = index
        node = NodeID(Int32(index) + 1)
        disk = SimulatedDisk(seed: seed)
        store = StoreID(high: 1, low: UInt64(index) + 1)
        key = SimulatedSigner.key(of: node)
        isFounder = index == 0
        isAdmitted = index == 0
    }

    /// One of its own: whoever wants to read this copy says that it is there.
    var rack: String { Self.rack(of: index) }

    static func rack(of index: Int) -> String { "rack-\(index)" }

    var address: MeshAddress { MeshAddress(host: "b\(node.rawValue)", port: 7946) }

    /// Another disk, and with it another store and another key.
    func wipe(seed: UInt64) {
        wipes += 1
        disk = SimulatedDisk(seed: seed)
        store = StoreID(high: 1 + wipes, low: UInt64(index) + 1)
        key = SimulatedSigner.key(of: NodeID(node.rawValue + 1_000 * Int32(wipes)))
        isAdmitted = false
    }
}
