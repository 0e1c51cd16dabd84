public import Model

/// Which partition of `__consumer_offsets` coordinates which group.
public enum GroupSlot {
    /// Kafka's rule: the hash of the group id, made non-negative by dropping the sign bit (so that
    /// the least Int32 has an answer too), modulo the partitions.
    ///
    /// - Precondition: `count` is positive.
    public static func slot(for groupID: String, count: Int32) -> PartitionIndex {
        precondition(count > 0, "a topic has at least one partition")
        return PartitionIndex((hash(of: groupID) & Int32.max) % count)
    }

    /// `String.hashCode` of Java: a polynomial in 31 over UTF-16 code units.
    static func hash(of string: String) -> Int32 {
        var hash: Int32 = 0
        for unit in string.utf16 {
            hash = hash &* 31 &+ Int32(unit)  // wraps by definition, as in Java
        }
        return hash
    }
}
