import Model
import NIOCore

/// Producer ids in blocks, so that one decision serves a thousand producers.
///
/// Ids below the register's value may have been given out by another broker or an earlier process
/// and never are again (KAFKA-15552): a restart skips what was left of its block.
struct ProducerIDBlock {
    static let size: Int64 = 1_000
    static let key = "producer-ids"

    var next: Int64 = 0
    /// The first id that is not ours to give; equal to `next` where a block has to be reserved.
    var end: Int64 = 0
    var waiting: [UInt64] = []
    var isReserving = false
}

extension Control {
    mutating func producerID(_ token: UInt64, into effects: inout [Effect]) {
        producerIDs.waiting.append(token)
        serveProducerIDs(into: &effects)
    }

    /// Gives out what the block has left; has the next one decided where that is not enough.
    private mutating func serveProducerIDs(into effects: inout [Effect]) {
        var served = 0
        for token in producerIDs.waiting where producerIDs.next < producerIDs.end {
            effects.append(.reply(token: token, .producerID(ProducerID(producerIDs.next))))
            producerIDs.next += 1
            served += 1
        }
        producerIDs.waiting.removeFirst(served)
        guard !producerIDs.waiting.isEmpty, !producerIDs.isReserving else { return }
        producerIDs.isReserving = true
        let number = nextSerial()
        changes[number] = PendingChange(kind: .producerIDs, token: nil, names: [], outcomes: [])
        effects.append(
            .propose(
                number,
                [
                    RegisterProposal(
                        key: ProducerIDBlock.key, operation: .reserve(ProducerIDBlock.size))
                ]))
    }

    /// A block that may have been reserved is never used: ids are skipped, not given twice.
    mutating func reserved(_ decision: Decision?, into effects: inout [Effect]) {
        producerIDs.isReserving = false
        if case .chosen(let value) = decision, var bytes = value.value,
            let end: Int64 = bytes.readInteger()
        {
            producerIDs.next = end - ProducerIDBlock.size
            producerIDs.end = end
            serveProducerIDs(into: &effects)
            return
        }
        for token in producerIDs.waiting {
            effects.append(.reply(token: token, .producerID(nil)))
        }
        producerIDs.waiting = []
    }
}
