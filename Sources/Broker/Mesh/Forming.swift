import Model
import NIOCore
import Transport

/// How N blank brokers with the same list agree, unanimously, on which of them begins the mesh.
///
/// A value that the `JoinClient` drives. Everybody says hello to everybody; whoever has heard the
/// same hello from all N - 1 others, and has the lowest key of them, asks all of them, and begins
/// the mesh when every one said yes; the others join it as anybody does. Nothing has to be
/// remembered: a second founder would need the yes of the first, which is blank no more. So a cut
/// network, or a broker that does not come, can stall the forming and never fork it.
///
///     hello   1, expected count u16, hash of the list u64
///     ask     2
///     yes     3
struct Forming {
    /// What two blank brokers say to each other.
    enum Message: Equatable {
        case hello(expected: UInt16, list: UInt64)
        case ask
        case yes
    }

    /// What the client has to do.
    enum Action: Equatable {
        case send(Message, LinkID)
        /// All N agree that this broker begins.
        case found
        /// Somebody has another list, or expects another number: forming would never end.
        case disagree(String)
    }

    private struct Peer {
        let key: PublicKey
        var saidHello = false
        var saidYes = false
    }

    let expected: UInt16
    private let list: UInt64
    private let own: PublicKey
    private var peers: [LinkID: Peer] = [:]
    private var hasAsked = false

    init(expected: Int, seeds: [HostPort], own: PublicKey) {
        self.expected = UInt16(clamping: expected)
        let text = seeds.map(\.description).sorted().joined(separator: ",")
        list = ContentHash(of: ByteBuffer(string: text)).rawValue
        self.own = own
    }

    /// How many blank brokers with the same list are linked, this one included.
    var present: Int { keys(where: \.saidHello).count + 1 }

    private func keys(where isMeant: (Peer) -> Bool) -> Set<PublicKey> {
        Set(peers.values.filter { isMeant($0) && $0.key != own }.map(\.key))
    }

    mutating func opened(_ link: LinkID, _ key: PublicKey) -> [Action] {
        peers[link] = Peer(key: key)
        return [.send(.hello(expected: expected, list: list), link)]
    }

    /// A yes holds only as long as the link that it came by.
    mutating func closed(_ link: LinkID) {
        peers[link] = nil
        hasAsked = false
        for other in peers.keys { peers[other]?.saidYes = false }
    }

    mutating func received(_ message: Message, on link: LinkID) -> [Action] {
        guard let peer = peers[link] else { return [] }
        switch message {
        case .hello(let count, let theirs):
            guard count == expected, theirs == list else {
                return [
                    .disagree(
                        count == expected
                            ? "it has another list of seeds"
                            : "it expects \(count) brokers and this one \(expected)")
                ]
            }
            peers[link]?.saidHello = true
            return askIfComplete()
        case .ask:
            // Only the lowest of a complete round is told yes; it asks again when it is missing.
            let isComplete = present == Int(expected)
            let isLowest = peer.key < own && keys(where: \.saidHello).min() == peer.key
            return isComplete && isLowest ? [.send(.yes, link)] : []
        case .yes:
            peers[link]?.saidYes = true
            return keys(where: \.saidYes).count + 1 == Int(expected) && hasAsked ? [.found] : []
        }
    }

    /// Asks everybody once all are there; called again now and then, because who was asked may not
    /// have been complete yet.
    mutating func askIfComplete() -> [Action] {
        guard present == Int(expected), keys(where: \.saidHello).allSatisfy({ own < $0 }) else {
            return []
        }
        hasAsked = true
        if expected == 1 { return [.found] }
        var asked: Set<PublicKey> = []
        var actions: [Action] = []
        for link in peers.keys.sorted() {
            guard let peer = peers[link], peer.saidHello, !peer.saidYes, peer.key != own,
                asked.insert(peer.key).inserted
            else { continue }
            actions.append(.send(.ask, link))
        }
        return actions
    }
}

extension Forming.Message {
    func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        switch self {
        case .hello(let expected, let list):
            bytes.writeMultipleIntegers(UInt8(1), expected, list)
        case .ask: bytes.writeInteger(UInt8(2))
        case .yes: bytes.writeInteger(UInt8(3))
        }
        return bytes
    }

    /// Nil where the bytes are no message of this kind.
    init?(decoding bytes: ByteBuffer) {
        var bytes = bytes
        switch bytes.readInteger(as: UInt8.self) {
        case 1:
            guard let expected: UInt16 = bytes.readInteger(), let list: UInt64 = bytes.readInteger()
            else { return nil }
            self = .hello(expected: expected, list: list)
        case 2: self = .ask
        case 3: self = .yes
        default: return nil
        }
        guard bytes.readableBytes == 0 else { return nil }
    }
}
