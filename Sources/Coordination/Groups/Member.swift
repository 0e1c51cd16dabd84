internal import Model
internal import NIOCore

/// One member of a group, from its JoinGroup until it leaves, fails or is replaced.
///
/// A value inside `Group.members`. It waits for at most one join and one sync at a time, and each
/// waiting token is answered exactly once, also when the member is removed. Its bytes are copies,
/// so that a member costs what it says and not the request it came in.
struct Member {
    var id: String
    /// The static identity (KIP-345); nil for a dynamic member.
    var groupInstanceID: String?
    var clientID: String
    var clientHost: String
    var rebalanceTimeoutMilliseconds: Int32
    var sessionTimeoutMilliseconds: Int32
    /// In order of preference, names unique.
    var protocols: [MemberProtocol]
    var assignment = ByteBuffer()
    /// The JoinGroup that waits for the next generation.
    var joinToken: RequestToken?
    /// The SyncGroup that waits for the assignment.
    var syncToken: RequestToken?
    /// True until its first generation: it can't send heartbeats yet, so its join can expire.
    var isNew = false
    /// True from the start of a generation until its SyncGroup.
    var isPendingSync = false
    /// When it counts as failed, unless it waits for us.
    var deadline: Instant

    /// Whether its deadline counts now: a member that waits for our answer can't be late.
    var canExpire: Bool { isNew || (joinToken == nil && syncToken == nil) }

    func metadata(for name: String) -> ByteBuffer {
        protocols.first { $0.name == name }?.metadata ?? ByteBuffer()
    }

    /// The first of its protocols that is among the candidates.
    func vote(among candidates: [String]) -> String? {
        protocols.first { candidates.contains($0.name) }?.name
    }
}

extension GroupRequest.Join {
    /// The offered protocols as a member keeps them: bytes of their own, each name once.
    var keptProtocols: [MemberProtocol] {
        var kept: [MemberProtocol] = []
        for offered in protocols where !kept.contains(where: { $0.name == offered.name }) {
            kept.append(
                MemberProtocol(name: offered.name, metadata: offered.metadata.compacted()))
        }
        return kept
    }
}
