import Model
import NIOCore
import Sodium

/// The keys for datagrams with one peer, one for each direction, from one handshake.
///
/// They outlive the link that made them and last an hour. Both boot nonces are in the transcript
/// from which they are derived, and again in the associated data. Owned by `DatagramTable`; about
/// 1.4 KiB with AES, 300 bytes without.
final class DatagramSession {
    let peer: NodeID
    let claim: PeerClaim
    /// Chosen by us; under this id the peer's datagrams come.
    let receiveKeyID: UInt32
    /// Chosen by the peer.
    let sendKeyID: UInt32
    let isInitiator: Bool
    let established: Instant
    /// When another session took over; opens what is on its way until the grace ends.
    var replaced: Instant?
    /// Whether the peer may not have these keys: it opens with them, and nothing is sealed.
    var isUnconfirmed = false
    private let sealing: AEADKey
    private let opening: AEADKey
    private var sendData: ByteBuffer
    private var receiveData: ByteBuffer
    private var window = ReplayWindow()
    /// Beyond 32 bits there is no further datagram: a key lasts an hour, and a million a second
    /// would take longer.
    private var counter: UInt64 = 0

    init(
        keys: borrowing Established, receiveKeyID: UInt32, isInitiator: Bool, own: PeerClaim,
        peer: NodeID, now: Instant
    ) {
        self.peer = peer
        claim = keys.claim
        self.receiveKeyID = receiveKeyID
        sendKeyID = keys.sendKeyID
        self.isInitiator = isInitiator
        established = now
        sealing = AEADKey(keys.suite, key: keys.datagramTransmit)
        opening = AEADKey(keys.suite, key: keys.datagramReceive)
        sendData = Self.associatedData(from: own, to: claim)
        receiveData = Self.associatedData(from: claim, to: own)
    }

    /// Counter u32, cluster hash (32), source i32, destination i32, both boots (epoch u64, nonce
    /// 16 bytes): the first four bytes change with every datagram.
    private static func associatedData(from source: PeerClaim, to destination: PeerClaim)
        -> ByteBuffer
    {
        var out = ByteBuffer()
        out.writeInteger(UInt32(0))
        let cluster =
            source.clusterID == .none ? destination.clusterID : source.clusterID
        out.writeWords(Digest(of: ByteBuffer(string: cluster.rawValue)).words)
        out.writeInteger(source.nodeID?.rawValue ?? -1)
        out.writeInteger(destination.nodeID?.rawValue ?? -1)
        for end in [source, destination] {
            out.writeMultipleIntegers(
                end.bootEpoch.rawValue, end.bootNonce.high, end.bootNonce.low)
        }
        return out
    }

    /// Whether another datagram may be sealed with this key.
    func mayStillSend(now: Instant) -> Bool {
        replaced == nil && counter <= UInt64(UInt32.max)
            && now.milliseconds(since: established) < Limits.datagramKeyMilliseconds
    }

    func hasEnded(now: Instant) -> Bool {
        let age = now.milliseconds(since: established)
        if age > Limits.datagramKeyMilliseconds + Limits.datagramGraceMilliseconds { return true }
        guard let replaced else { return false }
        return now.milliseconds(since: replaced) > Limits.datagramGraceMilliseconds
    }

    func seal(_ payload: ByteBuffer) -> ByteBuffer {
        let number = UInt32(counter)
        counter += 1
        var wire = ByteBuffer()
        wire.reserveCapacity(payload.readableBytes + DatagramTable.overhead)
        wire.writeMultipleIntegers(DatagramTable.type, sendKeyID, number)
        wire.writeImmutableBuffer(payload)
        sendData.setInteger(number, at: 0)
        sealing.seal(
            &wire, from: DatagramTable.headerBytes, counter: UInt64(number),
            associatedData: sendData)
        return wire
    }

    /// Opens what follows the header where it lies.
    func open(_ wire: inout ByteBuffer, number: UInt32) throws(DatagramRefusal) {
        guard window.admits(UInt64(number)) else { throw .replayed }
        receiveData.setInteger(number, at: 0)
        let isGenuine = opening.open(
            &wire, from: wire.readerIndex, counter: UInt64(number), associatedData: receiveData)
        guard isGenuine else { throw .notAuthentic }
        window.insert(UInt64(number))
    }
}

/// Why a datagram that came isn't delivered.
enum DatagramRefusal: Error, Equatable {
    case malformed
    case oversized
    case unknownKey
    case notAuthentic
    case replayed

    var drop: DatagramDrop {
        switch self {
        case .malformed: .malformed
        case .oversized: .oversized
        case .unknownKey: .unknownKey
        case .notAuthentic: .notAuthentic
        case .replayed: .replayed
        }
    }
}
