internal import DequeModule
internal import Model
internal import NIOCore

/// What a rumour is about; a newer one about the same replaces it.
enum RumourKey: Hashable {
    case record(NodeID)
    case accusation(subject: NodeID, accuser: NodeID)
    case value(String)
    case mark(UInt32)
    case trace(UInt64)
    /// What a newer rumour ought to have replaced; only with that rule off.
    case superseded(UInt64)
}

/// The rumours of one class that wait to be passed on, the least transmitted first.
///
/// Keyed and bounded: a newer rumour replaces, it does not append (consul#9927's queue grew to
/// 160,000), and a full queue drops the one that was passed on most. Taking costs one step for
/// each rumour taken, and a few for ones that do not fit. Owned by the machine.
struct RumourQueue {
    private struct Item {
        var part: ByteBuffer
        var serial: UInt64
        var transmissions: Int
    }

    private struct Place {
        var key: RumourKey
        var serial: UInt64
    }

    /// Looked up, never iterated.
    private var items: [RumourKey: Item] = [:]
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

    var count: Int { items.count }
    var isEmpty: Bool { items.isEmpty }

    mutating func insert(_ key: RumourKey, _ part: ByteBuffer) {
        serial += 1
        if !replaces, let old = items[key] {
            append(Place(key: .superseded(serial), serial: serial), old)
        }
        if items[key] == nil, items.count >= capacity { dropMostTransmitted() }
        let item = Item(part: part, serial: serial, transmissions: 0)
        append(Place(key: key, serial: serial), item)
    }

    private mutating func append(_ place: Place, _ item: Item) {
        var item = item
        item.serial = place.serial
        waitingBytes += item.part.readableBytes
        if let old = items.updateValue(item, forKey: place.key) {
            waitingBytes -= old.part.readableBytes
        }
        while levels.count <= item.transmissions { levels.append(Deque()) }
        levels[item.transmissions].append(place)
    }

    mutating func remove(_ key: RumourKey) {
        if let old = items.removeValue(forKey: key) { waitingBytes -= old.part.readableBytes }
    }

    private mutating func dropMostTransmitted() {
        for level in levels.indices.reversed() {
            while let place = levels[level].popFirst() {
                guard let item = items[place.key], item.serial == place.serial else { continue }
                remove(place.key)
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
                guard let item = items[place.key], item.serial == place.serial else { continue }
                guard item.part.readableBytes <= left else {
                    unfit.append(place)
                    continue
                }
                left -= item.part.readableBytes
                parts += 1
                bytes.writeImmutableBuffer(item.part)
                moved.append(place)
            }
            for place in unfit.reversed() { levels[level].prepend(place) }
            if left <= 17 || parts >= GossipLimits.partsPerPacket { break }
        }
        for place in moved { raise(place, limit: limit) }
    }

    private mutating func raise(_ place: Place, limit: Int) {
        guard let transmissions = items[place.key]?.transmissions else { return }
        guard transmissions + 1 < limit else {
            remove(place.key)
            return
        }
        items[place.key]?.transmissions = transmissions + 1
        while levels.count <= transmissions + 1 { levels.append(Deque()) }
        levels[transmissions + 1].append(place)
    }
}
