import Model
import NIOCore
import Sodium

/// Every key for datagrams that a broker has, by the id that comes with each datagram.
///
///     type u8 | key id u32 | counter u32 | sealed payload | tag (16)
///
/// 25 bytes beside the payload. The receiver chose the key id, so that a stranger's datagram costs
/// one look-up and nothing else; nothing is ever answered. Against WireGuard: a counter of 32 bits
/// instead of 64, since a key lasts an hour; no padding; no roaming (an address is what a
/// handshake showed, not where the last datagram came from); and handshakes over TCP only.
///
/// Reads no clock and no socket, so that a fuzzer can feed it. Owned by the transport.
struct DatagramTable {
    static let type: UInt8 = 0x47
    static let headerBytes = 9
    static let overhead = headerBytes + AEADKey.overhead

    private var byKeyID: [UInt32: DatagramSession] = [:]
    private var current: [NodeID: DatagramSession] = [:]

    var peers: Int { current.count }

    /// An id that no key has; random, so that a restarted broker does not reuse one by habit.
    func freshKeyID() -> UInt32 {
        while true {
            let id = UInt32(truncatingIfNeeded: Libsodium.randomWord())
            if byKeyID[id] == nil { return id }
        }
    }

    /// Whether keys of this id are here; a handshake that took long may find its id taken.
    func has(_ keyID: UInt32) -> Bool { byKeyID[keyID] != nil }

    /// The keys that datagrams to the peer are sealed with now.
    func session(with peer: NodeID) -> DatagramSession? { current[peer] }

    /// Takes new keys. The newest are current, unless `keepsCurrent`: of two handshakes made at
    /// once, both sides prefer the same. Keys of an earlier boot end at once.
    mutating func insert(_ session: DatagramSession, keepsCurrent: Bool, now: Instant) {
        for other in byKeyID.values where other.peer == session.peer {
            if !other.claim.isSameBoot(as: session.claim) {
                byKeyID[other.receiveKeyID] = nil
            } else if other.replaced != nil {
                // At most one pair waits for what is on its way.
                byKeyID[other.receiveKeyID] = nil
            }
        }
        byKeyID[session.receiveKeyID] = session
        if let old = current[session.peer], old.claim.isSameBoot(as: session.claim) {
            if keepsCurrent {
                session.replaced = now
                return
            }
            old.replaced = now
        }
        current[session.peer] = session
    }

    /// Takes keys that the peer may not have: they open, and nothing is sealed with them. False
    /// where their id is taken.
    mutating func insertUnconfirmed(_ session: DatagramSession) -> Bool {
        guard byKeyID[session.receiveKeyID] == nil else { return false }
        session.isUnconfirmed = true
        byKeyID[session.receiveKeyID] = session
        return true
    }

    /// Destroys keys that never became current, or takes them out to be inserted.
    mutating func discard(_ session: DatagramSession) {
        if byKeyID[session.receiveKeyID] === session { byKeyID[session.receiveKeyID] = nil }
    }

    /// Destroys all keys of a peer at once.
    mutating func remove(_ peer: NodeID) {
        current[peer] = nil
        for session in byKeyID.values where session.peer == peer {
            byKeyID[session.receiveKeyID] = nil
        }
    }

    mutating func removeAll() {
        current.removeAll()
        byKeyID.removeAll()
    }

    /// Destroys what has ended.
    mutating func expire(now: Instant) {
        for session in byKeyID.values where session.hasEnded(now: now) {
            byKeyID[session.receiveKeyID] = nil
            if current[session.peer] === session { current[session.peer] = nil }
        }
    }

    /// Checks and decrypts a datagram where it lies, leaving its payload. The keys that it was
    /// sealed with, and so its sender, are returned.
    func open(_ wire: inout ByteBuffer, now: Instant) throws(DatagramRefusal) -> DatagramSession {
        guard wire.readableBytes <= Limits.datagramBytes else { throw .oversized }
        guard wire.readableBytes >= Self.overhead,
            let (type, keyID, number) = wire.readMultipleIntegers(
                as: (UInt8, UInt32, UInt32).self),
            type == Self.type
        else { throw .malformed }
        guard let session = byKeyID[keyID], !session.hasEnded(now: now) else {
            throw .unknownKey
        }
        try session.open(&wire, number: number)
        return session
    }
}

extension PeerClaim {
    /// Whether both were said by the same process.
    func isSameBoot(as other: PeerClaim) -> Bool {
        publicKey == other.publicKey && bootEpoch == other.bootEpoch
            && bootNonce == other.bootNonce
    }
}
