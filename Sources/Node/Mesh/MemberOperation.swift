import Gossip
public import Model
import NIOCore

/// What somebody wants to become of `members/<node id>`.
///
/// A node id is bound to a key and a store by a number that rises whenever that pair changes: a
/// wiped disk, or a second broker with the same id, never passes for the first.
public enum MemberOperation: Hashable, Sendable {
    /// Binds the id; an id that another pair has is taken over only where `mayReplace` says that
    /// its holder is known to be gone.
    case admit(node: NodeID, key: PublicKey, store: StoreID, mayReplace: Bool)
    /// Shuts the member out, for ever: the id can be given to another pair afterwards.
    case revoke(NodeID)

    var node: NodeID {
        switch self {
        case .admit(let node, _, _, _), .revoke(let node): node
        }
    }

    func applied(to current: ByteBuffer?) -> RegisterOperation.Verdict {
        var held: AdmissionRecord?
        if let current {
            guard let record = try? AdmissionRecord(decoding: current) else {
                return .refuse(.unreadable)
            }
            held = record
        }
        switch self {
        case .admit(let node, let key, let store, let mayReplace):
            return Self.admit(node, key, store, mayReplace, over: held)
        case .revoke:
            guard let held else { return .refuse(.absent) }
            guard !held.isRevoked else { return .refuse(.exists) }
            return .write(
                AdmissionRecord(
                    node: held.node, key: held.key, store: held.store, number: held.number,
                    roles: held.roles, isRevoked: true
                ).encoded())
        }
    }

    private static func admit(
        _ node: NodeID, _ key: PublicKey, _ store: StoreID, _ mayReplace: Bool,
        over held: AdmissionRecord?
    ) -> RegisterOperation.Verdict {
        guard let held else {
            return .write(
                AdmissionRecord(
                    node: node, key: key, store: store, number: AdmissionNumber(1)
                ).encoded())
        }
        if held.key == key, held.isRevoked { return .refuse(.revoked) }
        if held.key == key, held.store == store { return .refuse(.exists) }
        guard mayReplace || held.isRevoked, held.number.rawValue < UInt32.max else {
            return .refuse(.taken)
        }
        return .write(
            AdmissionRecord(
                node: node, key: key, store: store,
                number: AdmissionNumber(held.number.rawValue + 1)
            ).encoded())
    }
}
