import Node
import Replication

extension MeshMutation {
    /// The rules of `SafetyRules.node`.
    package static let node: [MeshMutation] = [
        MeshMutation(
            "node.servesWithinLease", "a leader serves on when its lease has lapsed",
            \.node.servesWithinLease, .networks),
        MeshMutation(
            "node.coordinatesWithinLease", "a coordinator answers on when its lease has lapsed",
            \.node.coordinatesWithinLease, .coordinators),
        MeshMutation(
            "node.servesWhatIsConfirmed", "a leader serves what its table remembers",
            \.node.servesWhatIsConfirmed, .moves),
        MeshMutation(
            "node.agreesOnceStopped", "a leader agrees to be deposed while it serves",
            \.node.agreesOnceStopped, .moves,
            cover: Cover(
                "replication.onlyServersRelease", \.replication.onlyServersRelease,
                "such a consent does not say that it has served, and frees nobody")),
        MeshMutation(
            "node.movesOnceStopped", "leadership is given away while the shard serves",
            \.node.movesOnceStopped, .moves),
        MeshMutation(
            "node.releasesOnceStopped", "a stop gives the lease back while shards serve",
            \.node.releasesOnceStopped, .moves),
        MeshMutation(
            "node.consumersSeeCommitted", "consumers are given what is not committed",
            \.node.consumersSeeCommitted, .networks),
        MeshMutation(
            "node.pipelinedRefused", "what is pipelined behind a refused batch is appended",
            \.node.pipelinedRefused, .stops),
        MeshMutation(
            "node.streamsBeginAnew", "a follower's stream goes on over a new link",
            \.node.streamsBeginAnew, .networks),
        MeshMutation(
            "node.livesAboveBoots",
            "a process on a new disk begins with the ballots of the one before",
            \.node.livesAboveBoots, .wipes),
        MeshMutation(
            "node.bootsRecorded", "a boot number is used again after a crash", \.node.bootsRecorded,
            .restarts),
        MeshMutation(
            "node.logEpochRaised",
            "a process that did not stop in order claims to have lost nothing",
            \.node.logEpochRaised, .power),
    ]
}
