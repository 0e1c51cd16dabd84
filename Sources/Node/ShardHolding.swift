import HeapModule
import Model
import NIOCore
import Replication
import Storage

/// One part of a produce request whose partition is between two leaders.
struct HeldPart {
    let partition: TopicPartition
    let serial: UInt64
    let part: Int
    /// Nil where it was appended already and can't be acknowledged by this broker any more.
    let records: ByteBuffer?
    let acknowledgement: Acknowledgement
    let origin: AppendOrigin
    let deadline: Instant
    let until: Instant
}

/// Partitions that the register says this broker leads, and that it does not lead: it has given the
/// leadership up, or is about to find out that it stands.
///
/// Who asks for one of them waits a moment: an answer that can't say who leads would send the
/// client off to ask, and to pause before it asks again. Bounded by time, and by the requests that
/// clients may have under way.
extension Shard {
    /// How long: a batch of decisions on slow disks takes less, and no client has given up by then.
    private static let holdMilliseconds: Int64 = 300

    /// Costs a comparison where the partition is led.
    func isBetweenLeaders(_ slot: Int) -> Bool {
        guard case .waits(let state, let own) = partitions[slot].role else { return false }
        return state.leader == own.node && stopping == nil && partitions[slot].isOpen
    }

    /// Keeps a part until it is known who leads.
    mutating func hold(
        _ slot: Int, _ records: ByteBuffer?, serial: UInt64, part: Int,
        _ acknowledgement: Acknowledgement, _ origin: AppendOrigin, deadline: Instant
    ) {
        let until = min(deadline, clock.advanced(byMilliseconds: Self.holdMilliseconds))
        held.append(
            HeldPart(
                partition: partitions[slot].id, serial: serial, part: part, records: records,
                acknowledgement: acknowledgement, origin: origin, deadline: deadline,
                until: until))
        deadlines.insert(Deadline(at: until, serial: serial, kind: .held))
    }

    /// It is known who leads: what was held is appended here, or sent to whoever it is.
    mutating func releaseHeld(_ slot: Int, now: Now, into effects: inout [Effect]) {
        let id = partitions[slot].id
        let parts = held.filter { $0.partition == id }
        held.removeAll { $0.partition == id }
        for part in parts { release(part, slot, now: now, into: &effects) }
        dismissConsumers(of: slot, into: &effects)
    }

    private mutating func release(
        _ held: HeldPart, _ slot: Int, now: Now, into effects: inout [Effect]
    ) {
        guard let records = held.records, produces[held.serial] != nil else {
            return settleProduce(held.serial, into: &effects)
        }
        let (result, end) = append(
            records, to: slot, held.acknowledgement, held.origin, now: now, into: &effects)
        produces[held.serial]?.results[held.part] = result
        produces[held.serial]?.slots[held.part].end = end
        guard result.error == nil else { return settleProduce(held.serial, into: &effects) }
        let waiter = PartitionMachine.Waiter(
            token: held.serial << 20 | UInt64(held.part), end: end,
            acknowledgement: held.acknowledgement, deadline: held.deadline)
        drive(slot, .await(waiter), into: &effects)
    }

    /// Who waited long enough is told that this broker does not lead.
    mutating func expireHeld(into effects: inout [Effect]) {
        let late = held.filter { $0.until <= clock }
        held.removeAll { $0.until <= clock }
        for part in late {
            if part.records != nil, let slot = openSlot(part.partition) {
                // What is pipelined behind it must not pass for its producer's first.
                refuseLateStarts(slot)
                if rules.node.pipelinedRefused { partitions[slot].log.refuseLateStarts() }
            }
            settleProduce(part.serial, into: &effects)
        }
    }
}
