import Gossip
import Model
import Node
import OrderedCollections
import Transport

/// What members told this broker that it can't be one any more, and how many of them.
///
/// One member alone could end any broker with its word; where there are more, two must say so. Each
/// counts once, by the key that it proved: one that is reached at two addresses is one still.
struct Fence {
    private var witnesses: Set<NodeID> = []
    /// Whether enough of them said so: the broker is about to end.
    private(set) var isClosed = false

    private static let witnessesNeeded = 2

    /// When each member first said that this broker's id is another's.
    private var doubts: [NodeID: Instant] = [:]

    /// How long that may be because the member has not heard yet who was let in: gossip takes
    /// less than a second, and anti-entropy after a lost message five.
    private static let hearsayMilliseconds: Int64 = 10_000

    /// Whether a member's word is to be believed. One that says that the id is another's may be
    /// behind the decision that gave it to this broker, so it has to say it again later.
    mutating func believes(_ refusal: HandshakeRefusal, of member: NodeID, now: Instant) -> Bool {
        guard refusal == .duplicateNodeID else { return true }
        guard let first = doubts[member] else {
            doubts[member] = now
            return false
        }
        return now.milliseconds(since: first) >= Self.hearsayMilliseconds
    }

    /// A member takes this broker for what it is: whatever it said before was hearsay.
    mutating func welcomed(by member: NodeID) { doubts[member] = nil }

    /// True when this is the word that was missing.
    mutating func close(by witness: NodeID, others: Int) -> Bool {
        witnesses.insert(witness)
        guard !isClosed, witnesses.count >= min(Self.witnessesNeeded, max(1, others)) else {
            return false
        }
        isClosed = true
        return true
    }

    /// Refusals that no later try can change: some other process is this member now, or nobody may
    /// be. A broker that served on would take writes that its mesh never sees.
    static func reason(_ refusal: HandshakeRefusal) -> String? {
        switch refusal {
        case .staleBoot:
            "the mesh has seen a later start of this data directory: it is a copy, or was rolled "
                + "back, or a copy of it runs. Start on an empty directory, or stop the copy"
        case .duplicateStore:
            "DUPLICATE_STORE: two processes run with this data directory's identity, and the mesh "
                + "has shut out both. One directory is a copy of the other: stop that process, "
                + "remove the copy, and start the other one again"
        case .duplicateNodeID:
            "the mesh has given this broker's node id to another key and store: this one was held "
                + "for dead and replaced. Start on an empty directory, with another --node-id"
        case .revoked: "the mesh has revoked this broker's key: it can't come back"
        default: nil
        }
    }
}

/// Two processes with one store: found out by the members, and shut out by them.
extension MeshShell {
    /// Ends every link with both and takes neither until one of them starts again.
    func shutOut(_ node: NodeID, _ twins: MeshTrust.Duplicate) {
        note(.duplicateStore(node, older: twins.older, newer: twins.newer))
        reactor.events.duplicateStore(node, older: twins.older, newer: twins.newer)
        transport?.forget(node, isDuplicate: true)
        tell(.linkFailed(node, .closed))
    }

    /// Whether another process with this one's identity was not heard of yet. If so, every member
    /// is called: those who know the other one find out that there are two.
    func isNews(of boot: BootEpoch) -> Bool {
        guard twin.map({ $0 < boot }) ?? true else { return false }
        twin = boot
        guard let mesh = reactor.plane?.mesh else { return true }
        for peer in mesh.peers.values where peer.status.isPresent {
            guard let address = peer.description?.addresses.first else { continue }
            transport?.connect(to: address, expecting: peer.node)
        }
        return true
    }

    /// A member says why it does not take this broker.
    func witness(_ refusal: HandshakeRefusal, by node: NodeID) {
        guard let reason = Fence.reason(refusal),
            fence.believes(refusal, of: node, now: reactor.now.instant)
        else { return }
        // Those that are down can't say anything: with one of three away the other's word is
        // enough, or both of two twins would serve on.
        let others = reactor.plane?.mesh.peers.values.count {
            $0.status != .dead && $0.status != .left
        }
        guard fence.close(by: node, others: others ?? 0) else { return }
        if refusal == .duplicateStore { skipBoot() }
        reactor.shared.progress.fenced(reason)
    }

    /// A copy that was made of a running broker has the boot that would follow: the next start of
    /// whichever stays has to be above both.
    private func skipBoot() {
        let store = reactor.shared.store
        reactor.shared.tables.write([store.opening.skippedBoot], to: store.table) { _ in }
    }
}
