internal import DequeModule
internal import Model
internal import NIOCore

/// What a rumour is about; a newer one about the same replaces it.
enum RumourKey: Hashable {
    case record(NodeID)
    case accusation(subject: NodeID, accuser: NodeID)
    case value(String)
    case mark(FeedID)
    case change(FeedID, ByteBuffer)
    case trace(UInt64)
    /// What a newer rumour ought to have replaced; only with that rule off.
    case superseded(UInt64)
}

/// The rumours of one class that wait to be passed on, the least transmitted first.
///
/// Keyed and bounded: a newer rumour replaces, it does not append (consul#9927's queue grew to
/// 160,000), and a full queue drops the one that was passed on most. Taking costs one step for
/// each rumour taken and no hash, and a few for ones that do not fit. Owned by the machine.
struct RumourQueue {
    private struct Item {
        var key: RumourKey
        var part: ByteBuffer
        /// Zero where the slot is free.
        var serial: UInt64
        var transmissions: Int
    }

    private struct Place {
        var slot: Int
        var serial: UInt64
    }

    private var items: [Item] = []
    private var free: [Int] = []
    /// Looked up, never iterated.
    private var slots: [RumourKey: Int] = [:]
    /// By transmissions; places of replaced rumours are skipped when met.
    private var levels: [Deque<Place>] = []
    private var serial: UInt64 = 0
    private let capacity: Int
    private(set) var dropped = 0
    /// Bytes of all that waits, for the quotas.
    private(set) var waitingBytes = 0
    /// Off in tests that show what replacing is for.
    var replaces = true

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { slots.count }
    var isEmpty: Bool { slots.isEmpty }

    /// `spent` transmissions count as done: a rumour of less weight goes later and less often.
    mutating func insert(_ key: RumourKey, _ part: ByteBuffer, spent: Int = 0) {
        serial += 1
        if !replaces, let slot = slots.removeValue(forKey: key) {
            items[slot].key = .superseded(serial)
            slots[.superseded(serial)] = slot
        }
        if slots[key] == nil, slots.count >= capacity { dropMostTransmitted() }
        let item = Item(key: key, part: part, serial: serial, transmissions: spent)
        waitingBytes += part.readableBytes
        let slot: Int
        if let known = slots[key] {
            slot = known
            waitingBytes -= items[slot].part.readableBytes
            items[slot] = item
        } else if let last = free.popLast() {
            slot = last
            items[slot] = item
            slots[key] = slot
        } else {
            slot = items.count
            items.append(item)
            slots[key] = slot
        }
        append(Place(slot: slot, serial: serial), transmissions: spent)
    }

    private mutating func append(_ place: Place, transmissions: Int) {
        while levels.count <= transmissions { levels.append(Deque()) }
        levels[transmissions].append(place)
    }

    mutating func remove(_ key: RumourKey) {
        guard let slot = slots.removeValue(forKey: key) else { return }
        waitingBytes -= items[slot].part.readableBytes
        items[slot].part = ByteBuffer()
        items[slot].serial = 0
        free.append(slot)
    }

    private mutating func dropMostTransmitted() {
        for level in levels.indices.reversed() {
            while let place = levels[level].popFirst() {
                guard items[place.slot].serial == place.serial else { continue }
                remove(items[place.slot].key)
                dropped += 1
                return
            }
        }
    }

    /// Writes rumours into `bytes` until `budget` is used up; each is dropped after `limit`
    /// transmissions.
    mutating func take(
        into bytes: inout ByteBuffer, parts: inout Int, budget: Int, limit: Int
    ) {
        var left = budget
        var moved: [Place] = []
        for level in levels.indices {
            var unfit: [Place] = []
            while left > 17, unfit.count < 4, parts < GossipLimits.partsPerPacket,
                let place = levels[level].popFirst()
            {
                guard items[place.slot].serial == place.serial else { continue }
                let size = items[place.slot].part.readableBytes
                guard size <= left else {
                    unfit.append(place)
                    continue
                }
                left -= size
                parts += 1
                bytes.writeImmutableBuffer(items[place.slot].part)
                moved.append(place)
            }
            for place in unfit.reversed() { levels[level].prepend(place) }
            if left <= 17 || parts >= GossipLimits.partsPerPacket { break }
        }
        for place in moved { raise(place, limit: limit) }
    }

    private mutating func raise(_ place: Place, limit: Int) {
        let transmissions = items[place.slot].transmissions + 1
        guard transmissions < limit else {
            remove(items[place.slot].key)
            return
        }
        items[place.slot].transmissions = transmissions
        append(place, transmissions: transmissions)
    }
}
