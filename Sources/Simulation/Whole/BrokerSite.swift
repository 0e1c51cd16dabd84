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
    /// When its broker asked last to be admitted.
    var askedAt = Instant(nanoseconds: 0)
    /// Its broker is to be part of the mesh.
    var isExpected: Bool
    /// It is on its way out for good.
    var isLeaving = false
    let isFounder: Bool
    var life: BrokerLife?
    /// Processes so far: what was sent to one never reaches the next.
    var lives = 0
    var isPaused = false
    /// When the machine fell asleep, and when it is to wake, while it sleeps.
    var sleep: (since: Instant, until: Instant)?
    var clock = MachineClock()
    /// The loop that does not run, and what came for it meanwhile.
    var stalledLoop: Int?
    var loopBacklog: [MeshWorld.Event] = []
    /// What came while the process was paused.
    var backlog: [MeshWorld.Event] = []
    /// How much slower than usual the disk is.
    var slowness: Int64 = 1
    /// It is to be started again at that moment, if its fault is over then.
    var mayRunAt: Instant?
    /// The power goes after some more operations of the disk.
    var losesPower = false
    private(set) var wipes: UInt64 = 0
    /// The disk as it was at an earlier start, to be put back, and that start.
    var image: SimulatedDisk?
    var imageBoot: BootEpoch?
    /// The disk is an older one of its broker.
    private(set) var isPutBack = false
    /// Its table may lack topics that it has files of.
    var forgotTable = false
    /// A table is damaged: no broker may start.
    var isDamaged = false
    /// What of the disk's damage was counted.
    var counted = (wrongReads: 0, lostWrites: 0, tornWrites: 0)

    init(index: Int, seed: UInt64, isLate: Bool) {
        self.index = index
        node = NodeID(Int32(index) + 1)
        disk = SimulatedDisk(seed: seed)
        store = StoreID(high: 1, low: UInt64(index) + 1)
        key = SimulatedSigner.key(of: node)
        isFounder = index == 0
        isAdmitted = index == 0
        isExpected = !isLate
    }

    var isStopping: Bool { life?.isStopping == true }
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
        isPutBack = false
        forgotTable = false
        isDamaged = false
        losesPower = false
        image = nil
        counted = (0, 0, 0)
    }

    func putBack(_ image: SimulatedDisk) {
        disk = image
        isPutBack = true
        losesPower = false
        counted = image.damage
    }
}
