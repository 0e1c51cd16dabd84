import Model
import NIOCore
import Node
import Replication
import Transport

/// Carries what shards of two brokers say to each other over their link, and hands each shard what
/// is about its partitions.
///
/// Owned by the control loop, which has the links. A message costs one copy of its records, which
/// sealing them needs anyway, and one hop to the shard's loop.
final class ReplicationLinks {
    private unowned let reactor: Reactor
    /// One sequence for each pair of brokers: an answer to attach comes before the first records.
    private static let stream = StreamID(rawValue: 1)
    private var current = CurrentLinks()
    /// Messages that could not be read, since the start.
    private(set) var malformed: UInt64 = 0

    init(reactor: Reactor) { self.reactor = reactor }

    func send(_ message: ReplicationMessage, to node: NodeID) {
        // A candidate asks its own store like the others'.
        if node == reactor.shared.store.nodeID { return route(message, from: node) }
        guard let transport = reactor.mesh?.transport else { return }
        var bytes = ByteBuffer()
        message.encode(into: &bytes)
        let kind = MessageKind(rawValue: MeshMessageKind.replication.rawValue)
        transport.send(bytes, kind: kind, to: .member(node), stream: Self.stream)
    }

    func received(_ bytes: ByteBuffer, from node: NodeID) {
        do throws(ReplicationCodecError) {
            route(try ReplicationMessage(decoding: bytes), from: node)
        } catch {
            malformed += 1
        }
    }

    /// A link with a member is open; the member's messages may take another one still.
    func linkOpened(_ link: LinkID, with node: NodeID) {
        guard reactor.mesh?.transport?.peer(node)?.link == link else { return }
        if current.opened(link, with: node) { beginAnew(with: node) }
    }

    func linkClosed(_ link: LinkID, with node: NodeID) {
        if current.closed(link, with: node) { beginAnew(with: node) }
    }

    /// What was on its way is lost in part: every shard begins anew with that broker.
    private func beginAnew(with node: NodeID) {
        for target in reactor.shared.mailboxes.indices {
            reactor.post(.shard(.linkLost(node)), to: target)
        }
    }

    private func route(_ message: ReplicationMessage, from node: NodeID) {
        switch message {
        case .attach(let partition, _), .attached(let partition, _, _, _),
            .refused(let partition, _, _), .detach(let partition, _):
            post(message, about: partition, from: node)
        case .append(let append): post(message, about: append.partition, from: node)
        case .acknowledged(let replica, let ends):
            for (target, part) in split(ends, by: \.partition) {
                reactor.post(
                    .shard(.replication(from: node, .acknowledged(replica, part))), to: target)
            }
        case .trimmed(let replica, let starts):
            for (target, part) in split(starts, by: \.partition) {
                reactor.post(
                    .shard(.replication(from: node, .trimmed(replica, part))), to: target)
            }
        case .progress(let entries):
            for (target, part) in split(entries, by: \.partition) {
                reactor.post(.shard(.replication(from: node, .progress(part))), to: target)
            }
        case .renewLease, .leaseAnswer, .releaseLease:
            reactor.post(.mesh(.lease(from: node, message)), to: 0)
        case .inquire(let partitions):
            for (target, part) in split(partitions, by: \.self) {
                reactor.post(.shard(.replication(from: node, .inquire(part))), to: target)
            }
        case .holdings(let replica, let holdings):
            guard replica.node == node else { return }
            reactor.post(.control(.holdings(replica, holdings)), to: 0)
        case .present:
            for target in reactor.shared.mailboxes.indices {
                reactor.post(.shard(.replication(from: node, message)), to: target)
            }
        case .giveWay(let wishes): reactor.post(.control(.giveWay(wishes)), to: 0)
        case .stopTopics(let claims): reactor.post(.control(.stop(claims, for: node)), to: 0)
        case .stoppedTopics(let topics):
            reactor.post(.control(.stopped(topics, by: node)), to: 0)
        case .recognise(let serial, let claims):
            reactor.post(.control(.recognise(from: node, serial, claims)), to: 0)
        case .recognised(let serial, _, _):
            let target = Shard.number(ofClaims: serial)
            guard reactor.shared.mailboxes.indices.contains(target) else { return }
            reactor.post(.shard(.replication(from: node, message)), to: target)
        }
    }

    private func post(
        _ message: ReplicationMessage, about partition: TopicPartition, from node: NodeID
    ) {
        reactor.post(
            .shard(.replication(from: node, message)), to: reactor.shardIndex(of: partition))
    }

    /// The entries of each shard; all of them at once where there is one.
    private func split<Entry>(
        _ entries: [Entry], by partition: (Entry) -> TopicPartition
    ) -> [(shard: Int, entries: [Entry])] {
        let count = reactor.shared.mailboxes.count
        guard count > 1 else { return [(0, entries)] }
        var shares = Array(repeating: [Entry](), count: count)
        for entry in entries { shares[reactor.shardIndex(of: partition(entry))].append(entry) }
        return shares.indices.filter { !shares[$0].isEmpty }.map { ($0, shares[$0]) }
    }
}
