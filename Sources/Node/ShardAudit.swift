import HeapModule
package import Model
import Replication

/// What a shard believes of itself, for whoever checks a mesh from outside; a simulator does.
extension Shard {
    /// A partition that this broker leads with others.
    package struct Serving: Hashable, Sendable {
        package let partition: TopicPartition
        package let epoch: LeaderEpoch
        /// Nil while no client is told of it: nothing of the leader's own epoch is committed.
        package let highWatermark: Offset?
        /// Whether a client that asked at that moment would be served.
        package let isAllowed: Bool

        package init(
            partition: TopicPartition, epoch: LeaderEpoch, highWatermark: Offset?, isAllowed: Bool
        ) {
            self.partition = partition
            self.epoch = epoch
            self.highWatermark = highWatermark
            self.isAllowed = isAllowed
        }
    }

    /// What it leads, and whether it would serve that at a moment. Costs a look at each partition.
    package func serving(at now: Instant) -> [Serving] {
        partitions.occupied.compactMap { slot in
            guard partitions[slot].isOpen, let epoch = partitions[slot].leadsUnder else {
                return nil
            }
            return Serving(
                partition: partitions[slot].id, epoch: epoch,
                highWatermark: partitions[slot].machine.hasCommittedOwnEpoch
                    ? partitions[slot].machine.highWatermark : nil,
                isAllowed: isLeased(slot, at: now))
        }
    }

    /// How many of everything that clients and other brokers make it hold.
    package var holdings: [(what: String, count: Int)] {
        [
            ("produce requests", produces.count), ("fetches", fetches.count),
            ("questionnaires", questionnaires.count), ("deadlines", deadlines.count),
            ("parts between two leaders", held.count), ("claims", pendingClaims.count),
        ]
    }
}
