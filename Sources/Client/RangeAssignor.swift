/// Kafka's "range" assignment: per topic, contiguous runs of partitions in the order of member ids,
/// the first members taking one more where it does not divide.
enum RangeAssignor {
    static let name = "range"

    static func assign(
        subscriptions: [String: [String]], partitionCounts: [String: Int32]
    ) -> [String: [TopicPartitionName]] {
        var result = subscriptions.mapValues { _ in [TopicPartitionName]() }
        for (topic, count) in partitionCounts.sorted(by: { $0.key < $1.key }) {
            let members = subscriptions.filter { $0.value.contains(topic) }.keys.sorted()
            guard !members.isEmpty else { continue }
            let each = count / Int32(members.count)
            let extra = count % Int32(members.count)
            var next: Int32 = 0
            for (index, member) in members.enumerated() {
                let take = each + (Int32(index) < extra ? 1 : 0)
                result[member, default: []] += (next..<next + take).map {
                    TopicPartitionName(topic: topic, partition: $0)
                }
                next += take
            }
        }
        return result
    }
}
