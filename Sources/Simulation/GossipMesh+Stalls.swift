internal import Gossip
internal import Model
internal import NIOCore

/// What a socket holds while nobody reads it, as Linux accounts for it.
package enum ReceiveBuffer {
    /// memberlist asks for 2 MiB and gets net.core.rmem_max, 212,992 bytes, which the kernel
    /// doubles (socket(7), SO_RCVBUF).
    package static let bytes = 425_984
    /// A packet is charged for its sk_buff, and for its data with headers and shared info rounded
    /// up to a power of two.
    package static func charge(payload: Int) -> Int {
        var data = 512
        while data < payload + 28 + 64 + 320 { data *= 2 }
        return 256 + data
    }
}

/// How members of a mesh stop, and go on.
extension GossipMesh {
    /// The listener takes so long for a packet, so that it does not empty a long queue in an
    /// instant of freedom. 50,000 packets a second are assumed, which is much: fewer would have
    /// plain SWIM miss more refutations.
    static let microsecondsPerPacket: Int64 = 20

    mutating func enqueue(_ delivery: Delivery, at index: Int) {
        if case .datagram(_, _, let bytes) = delivery {
            let charge = ReceiveBuffer.charge(payload: bytes.readableBytes)
            guard nodes[index].inboxBytes + charge <= ReceiveBuffer.bytes else { return }
            nodes[index].inboxBytes += charge
        }
        nodes[index].inbox.append(delivery)
    }

    mutating func stall(_ index: Int) {
        guard let cycle = nodes[index].stalls, now < cycle.end else { return }
        nodes[index].machine?.stallSends()
        let thaw = now.advanced(byMilliseconds: cycle.durationMilliseconds)
        freeze(index, .traffic, until: thaw)
        timeline.schedule(
            .stall(index, boot: nodes[index].boot),
            at: thaw.advanced(byMilliseconds: cycle.intervalMilliseconds))
    }

    mutating func thaw(_ index: Int) {
        guard let freeze = nodes[index].freeze, freeze.until <= now else { return }
        nodes[index].freeze = nil
        let outbox = nodes[index].outbox
        nodes[index].outbox = []
        for effect in outbox { transmit(effect, of: index) }
        // The harsher order, which some loops have: overdue timers fire before the queue is read.
        if freeze.kind == .traffic { resumeSends(of: index) }
        if nodes[index].isWakeDue {
            nodes[index].isWakeDue = false
            handle(.wake, at: index)
        }
        readInbox(of: index, freeze.kind)
    }

    /// Reads what waited, as far as the time until the next stall allows.
    private mutating func readInbox(of index: Int, _ kind: FreezeKind) {
        var inbox = nodes[index].inbox
        var rest: [Delivery] = []
        if kind == .traffic, let cycle = nodes[index].stalls {
            let room = Int(cycle.intervalMilliseconds * 1_000 / Self.microsecondsPerPacket)
            rest = Array(inbox.dropFirst(room))
            inbox = Array(inbox.prefix(room))
        }
        nodes[index].inbox = []
        nodes[index].inboxBytes = 0
        for delivery in inbox where nodes[index].isUp { receive(delivery, at: index) }
        for delivery in rest { enqueue(delivery, at: index) }
    }
}
