import Model
import NIOCore
import Sodium

extension Handshake {
    /// What was agreed with the peer's ephemeral key.
    struct Exchange: ~Copyable {
        let transmit: SecretBytes
        let receive: SecretBytes
        let sealing: AEADKey
        let opening: AEADKey
        let suite: CipherSuite
        let mode: LinkMode

        init(_ keys: consuming SessionKeys, transcript: Digest, suite: CipherSuite, mode: LinkMode)
        {
            let label: StaticString = "gossamer handshake key 1"
            sealing = AEADKey(
                .xchacha20Poly1305, key: keys.transmit.derive(label, transcript))
            opening = AEADKey(.xchacha20Poly1305, key: keys.receive.derive(label, transcript))
            transmit = keys.transmit.duplicate()
            receive = keys.receive.duplicate()
            self.suite = suite
            self.mode = mode
        }
    }

    // MARK: Refusals

    static func writeClearRefusal(_ refusal: HandshakeRefusal, _ out: inout ByteBuffer) {
        HandshakeWire.frame(.refusal, into: &out) { out in
            out.writeMultipleIntegers(refusal.rawValue, HandshakeWire.version)
        }
    }

    /// Anybody can write a clear refusal, so it may only say what no proof could be given for.
    static func clearRefusal(_ message: ByteBuffer) -> HandshakeFailure {
        var bytes = message
        guard let (reason, _) = bytes.readMultipleIntegers(as: (UInt8, UInt8).self),
            reason == HandshakeRefusal.versionMismatch.rawValue, bytes.readableBytes == 0
        else { return HandshakeFailure(.malformed) }
        return HandshakeFailure(.versionMismatch, isRemote: true)
    }

    static func sealRefusal(
        _ refusal: HandshakeRefusal, _ exchange: borrowing Exchange, _ transcript: Digest,
        counter: UInt64, _ out: inout ByteBuffer
    ) {
        var body = ByteBuffer(integer: refusal.rawValue)
        // The transcripts of the two sides may differ here, so it is no part of what is sealed.
        exchange.sealing.seal(&body, from: 0, counter: counter, associatedData: refusalData)
        HandshakeWire.frame(.sealedRefusal, into: &out) { $0.writeImmutableBuffer(body) }
    }

    static func sealedRefusal(
        _ message: ByteBuffer, _ exchange: borrowing Exchange, _ transcript: Digest,
        counter: UInt64
    ) -> HandshakeFailure {
        var body = message
        let isGenuine = exchange.opening.open(
            &body, from: body.readerIndex, counter: counter, associatedData: refusalData)
        guard isGenuine else { return HandshakeFailure(.notAuthentic) }
        guard body.readableBytes == 1,
            let refusal = body.readInteger(as: UInt8.self).flatMap(HandshakeRefusal.init)
        else { return HandshakeFailure(.malformed) }
        return HandshakeFailure(refusal, isRemote: true)
    }

    static let refusalData = ByteBuffer(string: "refusal")

    // MARK: Transcript

    static func begin(_ hello: ByteBuffer) -> Digest {
        var hasher = GenericHasher()
        hasher.update(label: "gossamer mesh handshake 1")
        hasher.update(hello)
        return hasher.finish()
    }

    static func extend(_ transcript: Digest, with bytes: ByteBuffer) -> Digest {
        var hasher = GenericHasher()
        hasher.update(transcript)
        hasher.update(bytes)
        return hasher.finish()
    }

    static func bytes(_ digest: Digest) -> ByteBuffer {
        var out = ByteBuffer()
        out.writeWords(digest.words)
        return out
    }
}
