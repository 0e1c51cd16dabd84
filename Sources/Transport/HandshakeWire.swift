import Model
import NIOCore
import Sodium

/// The messages of a handshake as bytes. Each is a frame of a length (u32) and this:
///
///     hello    1 | magic u32 | version u8 | flags u8 | ephemeral key (32)
///     answer   2 | version u8 | flags u8 | ephemeral key (32) | sealed identity
///     identity 3 | sealed identity
///     accept   4 | sealed standing u8
///     refusal  5 | reason u8 | version u8
///     refusal  6 | sealed reason u8
///
///     identity: role u8 | cluster length u8 | cluster | key (32) | node i32 | store (16)
///               | boot epoch u64 | boot nonce (16) | port u16 | datagram key id u32
///               | secret id u64 | proof (32) | signature (64)
///
/// The flags: 1 = AES offered, 2 = authenticate is enough.
enum HandshakeWire {
    static let magic: UInt32 = 0x474D_4553  // "GMES"
    static let version: UInt8 = 1

    /// The first byte of every message.
    enum Kind: UInt8 {
        case hello = 1
        case answer = 2
        case identity = 3
        case accept = 4
        case refusal = 5
        case sealedRefusal = 6
    }

    /// What both sides offer before anything is proved; covered by the transcript.
    struct Flags: Equatable {
        static let known: UInt8 = 0b11
        var offersAES: Bool
        var mode: LinkMode

        var rawValue: UInt8 { (offersAES ? 1 : 0) | (mode == .authenticate ? 2 : 0) }

        init(offersAES: Bool, mode: LinkMode) {
            self.offersAES = offersAES
            self.mode = mode
        }

        init?(rawValue: UInt8) {
            guard rawValue & ~Self.known == 0 else { return nil }
            offersAES = rawValue & 1 != 0
            mode = rawValue & 2 != 0 ? .authenticate : .seal
        }

        /// What two sides agree on: AES where both have it, plain text only where both want it.
        func agreed(with other: Flags) -> (CipherSuite, LinkMode) {
            (
                offersAES && other.offersAES ? .aes256GCM : .xchacha20Poly1305,
                mode == .authenticate && other.mode == .authenticate ? .authenticate : .seal
            )
        }
    }

    /// The clear part of a hello or an answer.
    struct Hello {
        var flags: Flags
        var ephemeral: AgreementKey
    }

    /// Writes a frame: the length is set when the body is written.
    static func frame(
        _ kind: Kind, into out: inout ByteBuffer, _ body: (inout ByteBuffer) -> Void
    ) {
        let start = out.writerIndex
        out.writeInteger(UInt32(0))
        out.writeInteger(kind.rawValue)
        body(&out)
        out.setInteger(UInt32(out.writerIndex - start - 4), at: start)
    }

    static func writeHello(_ hello: Hello, into out: inout ByteBuffer) {
        out.writeInteger(version)
        out.writeInteger(hello.flags.rawValue)
        out.writeWords(hello.ephemeral.words)
    }

    static func readHello(_ bytes: inout ByteBuffer) throws(HandshakeFailure) -> Hello {
        guard let theirs = bytes.readInteger(as: UInt8.self) else {
            throw HandshakeFailure(.malformed)
        }
        guard theirs == version else { throw HandshakeFailure(.versionMismatch) }
        guard let flags = bytes.readInteger(as: UInt8.self).flatMap(Flags.init(rawValue:)),
            let words = bytes.readWords()
        else { throw HandshakeFailure(.malformed) }
        return Hello(flags: flags, ephemeral: AgreementKey(words: words))
    }

    static func writeClaim(_ claim: PeerClaim, keyID: UInt32, into out: inout ByteBuffer) {
        out.writeInteger(claim.role.rawValue)
        out.writeInteger(UInt8(claim.clusterID.rawValue.utf8.count))
        out.writeString(claim.clusterID.rawValue)
        out.writeWords(claim.publicKey.words)
        out.writeInteger(claim.nodeID?.rawValue ?? -1)
        out.writeMultipleIntegers(claim.storeID.high, claim.storeID.low, claim.bootEpoch.rawValue)
        out.writeMultipleIntegers(claim.bootNonce.high, claim.bootNonce.low)
        out.writeMultipleIntegers(claim.meshPort, keyID)
    }

    /// The claim and the key id by which its sender knows datagrams for it.
    static func readClaim(_ bytes: inout ByteBuffer) -> (PeerClaim, UInt32)? {
        guard let role = bytes.readInteger(as: UInt8.self).flatMap(PeerRole.init(rawValue:)),
            let length = bytes.readInteger(as: UInt8.self),
            let name = bytes.readSlice(length: Int(length)),
            let text = String(validating: name.readableBytesView, as: Unicode.UTF8.self),
            let cluster = ClusterID(text),
            let key = bytes.readWords(),
            let node = bytes.readInteger(as: Int32.self), node >= -1,
            let (high, low, epoch) = bytes.readMultipleIntegers(
                as: (UInt64, UInt64, UInt64).self),
            let (nonceHigh, nonceLow) = bytes.readMultipleIntegers(as: (UInt64, UInt64).self),
            let (port, keyID) = bytes.readMultipleIntegers(as: (UInt16, UInt32).self)
        else { return nil }
        let claim = PeerClaim(
            role: role, clusterID: cluster, publicKey: PublicKey(words: key),
            nodeID: node < 0 ? nil : NodeID(node), storeID: StoreID(high: high, low: low),
            bootEpoch: BootEpoch(epoch), bootNonce: BootNonce(high: nonceHigh, low: nonceLow),
            meshPort: port, admission: .absent)
        return (claim, keyID)
    }

    static func writeProof(_ proof: AdmissionSecrets.Proof, into out: inout ByteBuffer) {
        out.writeInteger(proof.id)
        out.writeWords(proof.mac.words)
    }

    static func readProof(_ bytes: inout ByteBuffer) -> AdmissionSecrets.Proof? {
        guard let id = bytes.readInteger(as: UInt64.self), let words = bytes.readWords() else {
            return nil
        }
        return AdmissionSecrets.Proof(id: id, mac: Digest(words: words))
    }
}
