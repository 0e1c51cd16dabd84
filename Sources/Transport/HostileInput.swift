import Model
public import NIOCore
public import Sodium

/// Entry points for fuzzers: everything that a stranger's bytes reach, with fixed keys, without
/// sockets and clocks. Each takes any bytes and must neither trap nor grow.
public enum HostileInput {
    /// Takes whoever proved the secret.
    private final class AnyoneWithTheSecret: TrustStore {
        func judge(_ claim: PeerClaim) -> Verdict { .candidate }
    }

    private static func secret(_ byte: UInt8) -> SecretBytes {
        SecretBytes(copying: ByteBuffer(repeating: byte, count: 32)) ?? SecretBytes(randomCount: 32)
    }

    private static func identity() -> LocalIdentity {
        let file = ByteBuffer(repeating: 1, count: 32)
        return LocalIdentity(
            signingKey: SigningKey(keyFile: file) ?? SigningKey(), clusterID: .none,
            nodeID: NodeID(1), storeID: StoreID(high: 1, low: 1), bootEpoch: BootEpoch(1),
            role: .broker, bootNonce: BootNonce(high: 1, low: 1))
    }

    private static func established(_ suite: CipherSuite) -> Established {
        Established(
            claim: identity().claim(), standing: .member, givenStanding: .member, suite: suite,
            mode: .seal, linkTransmit: secret(2), linkReceive: secret(3),
            datagramTransmit: secret(4), datagramReceive: secret(4), sendKeyID: 0x2020_2020)
    }

    /// Feeds the bytes, cut into frames as they say, to a responder and to an initiator that has
    /// sent its hello. True where one of them was satisfied, which no fuzzer can bring about.
    public static func handshake(_ bytes: ByteBuffer) -> Bool {
        let trust = AnyoneWithTheSecret()
        let local = identity()
        let secrets = AdmissionSecrets()
        var out = ByteBuffer()
        var responder = Handshake(respondingWith: KeyAgreement(seed: secret(5)), keyID: 1)
        var initiator = Handshake(
            initiatingWith: KeyAgreement(seed: secret(6)), keyID: 2, local: local, into: &out)
        var isDone = false
        var rest = bytes
        while let length = rest.readInteger(as: UInt16.self),
            let message = rest.readSlice(length: min(Int(length), rest.readableBytes)),
            message.readableBytes > 0
        {
            out.clear()
            if let keys = try? responder.receive(
                message, local: local, secrets: secrets, party: .init(trust: trust), into: &out)
            {
                isDone = keys.standing == .candidate || isDone
            }
            if let keys = try? initiator.receive(
                message, local: local, secrets: secrets, party: .init(trust: trust), into: &out)
            {
                isDone = keys.standing == .candidate || isDone
            }
        }
        return isDone
    }

    /// The records of a link: first as sealed bytes, then, as if its seal were genuine, as content.
    public static func records(_ bytes: ByteBuffer, suite: CipherSuite) {
        var wire = bytes
        var opener = RecordOpener(suite: suite, mode: .seal, key: secret(3))
        while let content = try? opener.next(&wire), content.readableBytes > 0 {}
        var incoming = IncomingMessages(standing: .member)
        var rest = bytes
        while let length = rest.readInteger(as: UInt16.self),
            let content = rest.readSlice(length: min(Int(length), rest.readableBytes)),
            let record = try? LinkRecord(content), (try? incoming.take(record)) != nil
        {}
    }

    /// A datagram against a table of one key, whose id is four spaces. True where it was opened.
    public static func datagram(_ bytes: ByteBuffer, suite: CipherSuite) -> Bool {
        var table = DatagramTable()
        let now = Instant(nanoseconds: 0)
        let session = DatagramSession(
            keys: established(suite), receiveKeyID: 0x2020_2020, isInitiator: true,
            own: identity().claim(), peer: NodeID(2), now: now)
        table.insert(session, keepsCurrent: false, now: now)
        var wire = bytes
        return (try? table.open(&wire, now: now)) != nil
    }
}
