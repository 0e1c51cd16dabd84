import Model
import NIOCore

/// The files of deleted topics: they go on the evidence of a record in this broker's own table, and
/// the record is written again for as long as it can't be.
extension Control {
    /// Files go once the leave to remove them is durable.
    mutating func erase(_ partitions: [TopicPartition], into effects: inout [Effect]) {
        guard let topic = partitions.first?.topic else { return }
        let number = nextSerial()
        erasures[number] = partitions
        effects.append(
            .persist(
                number,
                [
                    TableChange(
                        key: ErasureRecord.key(topic), version: nextRevision(),
                        value: ByteBuffer())
                ]))
    }

    /// Between two times that the erasure of a deleted topic is written again: a full disk is not
    /// asked all the time.
    private static let eraseAgainMilliseconds: Int64 = 30_000

    /// A full disk may have room by now; nothing else would ever remove those files.
    mutating func eraseAgain(now: Now, into effects: inout [Effect]) {
        guard let waiting = unerased, waiting.at <= now.instant else { return }
        unerased = nil
        for partitions in waiting.topics { erase(partitions, into: &effects) }
    }

    /// The leave to remove a topic's files is durable, or could not be written: then they stay
    /// until it can be.
    mutating func persisted(
        _ number: UInt64, failure: String?, now: Now, into effects: inout [Effect]
    ) {
        guard let partitions = erasures.removeValue(forKey: number) else { return }
        if let failure {
            effects.append(.notice("files of a deleted topic stay for now: \(failure)"))
            unerased = (
                (unerased?.topics ?? []) + [partitions],
                now.instant.advanced(byMilliseconds: Self.eraseAgainMilliseconds)
            )
        }
        for partition in partitions {
            starting?.partitions.remove(partition)
            roles[partition] = nil
            effects.append(.close(partition, delete: failure == nil))
        }
        finishStart(into: &effects)
    }
}
