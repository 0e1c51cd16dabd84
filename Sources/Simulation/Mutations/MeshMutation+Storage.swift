import Node
import Replication
import Storage

extension MeshMutation {
    /// The rules of `SafetyRules.storage`.
    package static let storage: [MeshMutation] = [
        MeshMutation(
            "storage.duplicatesAnswered",
            "a repeated batch of an idempotent producer is appended again",
            \.storage.duplicatesAnswered),
        MeshMutation(
            "storage.sequencesChecked", "a batch whose predecessor is missing is appended",
            \.storage.sequencesChecked, .stops),
        MeshMutation(
            "storage.producersRecovered", "a log that is opened does not know its producers",
            \.storage.producersRecovered, .restarts),
        MeshMutation(
            "storage.recoveredSynced", "what recovery found is read before it is on the device",
            \.storage.recoveredSynced, .blackouts,
            cover: Cover(
                "replication.newEpochGate", \.replication.newEpochGate,
                "no end is told before the start of the epoch is committed")),
    ]
}
