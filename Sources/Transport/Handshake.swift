import Model
import NIOCore
import Sodium

/// What a finished handshake leaves: who the peer is, and keys that nobody else has.
struct Established: ~Copyable {
    let claim: PeerClaim
    /// What the peer is to us.
    let standing: Standing
    /// What we are to the peer.
    let givenStanding: Standing
    let suite: CipherSuite
    let mode: LinkMode
    let linkTransmit: SecretBytes
    let linkReceive: SecretBytes
    let datagramTransmit: SecretBytes
    let datagramReceive: SecretBytes
    /// The id that the peer chose for datagrams to it.
    let sendKeyID: UInt32
}

/// The handshake between two brokers, over whole messages: no socket, no clock, no entropy.
///
///     initiator                                                    responder
///     hello (ephemeral key)                  ->
///                                            <-  answer (ephemeral key, {who, proof, signature})
///     identity {who, proof, signature}       ->
///                                            <-  accept {standing}, or refusal {reason}
///
/// This is SIGMA-I (Krawczyk, 2003): ephemeral X25519 by `crypto_kx`, both transcripts signed by
/// Ed25519 under labels of their own, identities sealed under the ephemeral keys, the initiator's
/// shown only to a responder that has proved its own. Deviations: the MAC that binds an identity
/// to the exchange is the AEAD's tag under a key that depends on both ephemeral keys; the
/// transcript goes on hashing everything sent (as in Noise), so each side signs all that came
/// before; a MAC of the admission secret is part of what is signed; and a fourth message says
/// whether the initiator is welcome. Against WireGuard: no static X25519 keys, hence no 0-RTT and
/// no silence towards strangers, who are held off by bounds instead.
///
/// Owned by its link. Any failure ends it. Costs each side 60 us for the exchange, 15 us to sign
/// and 40 us to verify; a hello with a wrong length or version costs a comparison.
struct Handshake: ~Copyable {
    /// A peer that proved its key.
    private struct Proved {
        let claim: PeerClaim
        let keyID: UInt32
        let standing: Standing
    }

    private enum State: ~Copyable {
        case awaitingHello(KeyAgreement)
        case awaitingAnswer(KeyAgreement, Digest)
        case awaitingIdentity(Exchange, Digest)
        case awaitingAcceptance(Exchange, Digest, Proved)
        case over
    }

    /// What the owner of the handshake knows and is: lent for each message.
    struct Party {
        let trust: any TrustStore
        /// Whom the initiator wants to reach, where it knows.
        var expecting: NodeID?
        /// When the last message to the peer was sent.
        var challengedAt: Instant?
    }

    private var state: State
    private let isInitiator: Bool
    /// The id under which we shall know the peer's datagrams.
    let keyID: UInt32

    /// The side that was connected to.
    init(respondingWith ephemeral: consuming KeyAgreement, keyID: UInt32) {
        state = .awaitingHello(ephemeral)
        isInitiator = false
        self.keyID = keyID
    }

    /// The side that connected: writes the first message.
    init(
        initiatingWith ephemeral: consuming KeyAgreement, keyID: UInt32,
        local: borrowing LocalIdentity, into out: inout ByteBuffer
    ) {
        let hello = HandshakeWire.Hello(
            flags: .init(offersAES: local.offersAES, mode: local.mode),
            ephemeral: ephemeral.publicKey)
        let start = out.writerIndex
        HandshakeWire.frame(.hello, into: &out) { out in
            out.writeInteger(HandshakeWire.magic)
            HandshakeWire.writeHello(hello, into: &out)
        }
        let sent = out.getSlice(at: start + 5, length: out.writerIndex - start - 5) ?? ByteBuffer()
        state = .awaitingAnswer(ephemeral, Self.begin(sent))
        isInitiator = true
        self.keyID = keyID
    }

    /// Takes one whole message without its length; writes what to send, also before it throws.
    /// Returns the keys when the handshake is complete.
    mutating func receive(
        _ message: ByteBuffer, local: borrowing LocalIdentity, secrets: borrowing AdmissionSecrets,
        party: Party, into out: inout ByteBuffer
    ) throws(HandshakeFailure) -> Established? {
        var bytes = message
        guard message.readableBytes <= Limits.handshakeFrameBytes,
            let kind = bytes.readInteger(as: UInt8.self).flatMap(HandshakeWire.Kind.init(rawValue:))
        else { throw fail(.malformed) }
        var current = State.over
        swap(&current, &state)
        switch consume current {
        case .awaitingHello(let ephemeral):
            guard kind == .hello else { throw HandshakeFailure(.malformed) }
            try takeHello(ephemeral, bytes, local, secrets, &out)
            return nil
        case .awaitingAnswer(let ephemeral, let transcript):
            if kind == .refusal { throw Self.clearRefusal(bytes) }
            guard kind == .answer else { throw HandshakeFailure(.malformed) }
            try takeAnswer(ephemeral, transcript, bytes, local, secrets, party, &out)
            return nil
        case .awaitingIdentity(let exchange, let transcript):
            if kind == .sealedRefusal {
                throw Self.sealedRefusal(bytes, exchange, transcript, counter: 0)
            }
            guard kind == .identity else { throw HandshakeFailure(.malformed) }
            return try takeIdentity(exchange, transcript, bytes, local, secrets, party, &out)
        case .awaitingAcceptance(let exchange, let transcript, let proved):
            if kind == .sealedRefusal {
                var failure = Self.sealedRefusal(bytes, exchange, transcript, counter: 1)
                if failure.isRemote, proved.standing == .member {
                    failure.member = proved.claim.nodeID
                }
                throw failure
            }
            guard kind == .accept else { throw HandshakeFailure(.malformed) }
            return try takeAcceptance(exchange, transcript, proved, bytes)
        case .over:
            throw HandshakeFailure(.malformed)
        }
    }

    private mutating func fail(_ refusal: HandshakeRefusal) -> HandshakeFailure {
        state = .over
        return HandshakeFailure(refusal)
    }

    // MARK: The four messages

    private mutating func takeHello(
        _ ephemeral: consuming KeyAgreement, _ message: ByteBuffer,
        _ local: borrowing LocalIdentity, _ secrets: borrowing AdmissionSecrets,
        _ out: inout ByteBuffer
    ) throws(HandshakeFailure) {
        var bytes = message
        guard bytes.readInteger(as: UInt32.self) == HandshakeWire.magic else {
            throw HandshakeFailure(.malformed)
        }
        let theirs: HandshakeWire.Hello
        do throws(HandshakeFailure) {
            theirs = try HandshakeWire.readHello(&bytes)
        } catch {
            if error.refusal == .versionMismatch { Self.writeClearRefusal(.versionMismatch, &out) }
            throw error
        }
        guard bytes.readableBytes == 0 else { throw HandshakeFailure(.malformed) }
        let own = HandshakeWire.Hello(
            flags: .init(offersAES: local.offersAES, mode: local.mode),
            ephemeral: ephemeral.publicKey)
        guard let keys = ephemeral.sessionKeys(with: theirs.ephemeral, asClient: false) else {
            throw HandshakeFailure(.notAuthentic)
        }
        var clear = ByteBuffer()
        HandshakeWire.writeHello(own, into: &clear)
        var transcript = Self.extend(Self.begin(message), with: clear)
        let (suite, mode) = own.flags.agreed(with: theirs.flags)
        let exchange = Exchange(keys, transcript: transcript, suite: suite, mode: mode)
        let sealed = sealIdentity(exchange, &transcript, local, secrets)
        HandshakeWire.frame(.answer, into: &out) { out in
            out.writeImmutableBuffer(clear)
            out.writeImmutableBuffer(sealed)
        }
        state = .awaitingIdentity(exchange, transcript)
    }

    private mutating func takeAnswer(
        _ ephemeral: consuming KeyAgreement, _ begun: Digest, _ message: ByteBuffer,
        _ local: borrowing LocalIdentity, _ secrets: borrowing AdmissionSecrets, _ party: Party,
        _ out: inout ByteBuffer
    ) throws(HandshakeFailure) {
        var bytes = message
        let theirs = try HandshakeWire.readHello(&bytes)
        let clear = message.getSlice(
            at: message.readerIndex, length: message.readableBytes - bytes.readableBytes)
        guard let clear, let keys = ephemeral.sessionKeys(with: theirs.ephemeral, asClient: true)
        else { throw HandshakeFailure(.notAuthentic) }
        var transcript = Self.extend(begun, with: clear)
        let flags = HandshakeWire.Flags(offersAES: local.offersAES, mode: local.mode)
        let (suite, mode) = flags.agreed(with: theirs.flags)
        let exchange = Exchange(keys, transcript: transcript, suite: suite, mode: mode)
        let proved: Proved
        do throws(HandshakeFailure) {
            proved = try openIdentity(exchange, &transcript, bytes, local, secrets, party)
        } catch {
            Self.sealRefusal(error.refusal, exchange, transcript, counter: 0, &out)
            throw error
        }
        let sealed = sealIdentity(exchange, &transcript, local, secrets)
        HandshakeWire.frame(.identity, into: &out) { $0.writeImmutableBuffer(sealed) }
        state = .awaitingAcceptance(exchange, transcript, proved)
    }

    private mutating func takeIdentity(
        _ exchange: consuming Exchange, _ begun: Digest, _ message: ByteBuffer,
        _ local: borrowing LocalIdentity, _ secrets: borrowing AdmissionSecrets, _ party: Party,
        _ out: inout ByteBuffer
    ) throws(HandshakeFailure) -> Established {
        var transcript = begun
        let proved: Proved
        do throws(HandshakeFailure) {
            proved = try openIdentity(exchange, &transcript, message, local, secrets, party)
        } catch {
            Self.sealRefusal(error.refusal, exchange, transcript, counter: 1, &out)
            throw error
        }
        var sealed = ByteBuffer(integer: proved.standing.rawValue)
        exchange.sealing.seal(
            &sealed, from: 0, counter: 1, associatedData: Self.bytes(transcript))
        HandshakeWire.frame(.accept, into: &out) { $0.writeImmutableBuffer(sealed) }
        return finish(exchange, transcript, proved, given: .member)
    }

    private mutating func takeAcceptance(
        _ exchange: consuming Exchange, _ transcript: Digest, _ proved: Proved,
        _ message: ByteBuffer
    ) throws(HandshakeFailure) -> Established {
        var body = message
        guard
            exchange.opening.open(
                &body, from: body.readerIndex, counter: 1, associatedData: Self.bytes(transcript))
        else { throw HandshakeFailure(.notAuthentic) }
        guard body.readableBytes == 1,
            let standing = body.readInteger(as: UInt8.self).flatMap(Standing.init(rawValue:))
        else { throw HandshakeFailure(.malformed) }
        return finish(exchange, transcript, proved, given: standing)
    }

    private func finish(
        _ exchange: consuming Exchange, _ transcript: Digest, _ proved: Proved, given: Standing
    ) -> Established {
        let link: StaticString = "gossamer link key 1"
        let datagram: StaticString = "gossamer datagram key 1"
        return Established(
            claim: proved.claim, standing: proved.standing, givenStanding: given,
            suite: exchange.suite, mode: exchange.mode,
            linkTransmit: exchange.transmit.derive(link, transcript),
            linkReceive: exchange.receive.derive(link, transcript),
            datagramTransmit: exchange.transmit.derive(datagram, transcript),
            datagramReceive: exchange.receive.derive(datagram, transcript),
            sendKeyID: proved.keyID)
    }

    // MARK: Identities

    /// Who we are, our proof and our signature, sealed; the transcript has them afterwards.
    private func sealIdentity(
        _ exchange: borrowing Exchange, _ transcript: inout Digest,
        _ local: borrowing LocalIdentity, _ secrets: borrowing AdmissionSecrets
    ) -> ByteBuffer {
        let associated = Self.bytes(transcript)
        var body = ByteBuffer()
        HandshakeWire.writeClaim(local.claim(), keyID: keyID, into: &body)
        transcript = Self.extend(transcript, with: body)
        let none = AdmissionSecrets.Proof(
            id: 0, mac: Digest(words: InlineWords4(0, 0, 0, 0)))
        var proof = ByteBuffer()
        HandshakeWire.writeProof(
            secrets.prove(transcript, isInitiator: isInitiator) ?? none, into: &proof)
        transcript = Self.extend(transcript, with: proof)
        let signature = local.signingKey.sign(
            Self.bytes(transcript), for: isInitiator ? .initiatorHandshake : .responderHandshake)
        body.writeImmutableBuffer(proof)
        body.writeSignature(signature)
        exchange.sealing.seal(&body, from: 0, counter: 0, associatedData: associated)
        return body
    }

    /// The peer's identity, checked from the cheap to the dear: seal, form, mesh, proof, signature,
    /// and then the owner's verdict.
    private func openIdentity(
        _ exchange: borrowing Exchange, _ transcript: inout Digest, _ sealed: ByteBuffer,
        _ local: borrowing LocalIdentity, _ secrets: borrowing AdmissionSecrets, _ party: Party
    ) throws(HandshakeFailure) -> Proved {
        var bytes = sealed
        let isGenuine = exchange.opening.open(
            &bytes, from: bytes.readerIndex, counter: 0, associatedData: Self.bytes(transcript))
        guard isGenuine else { throw HandshakeFailure(.notAuthentic) }
        let whole = bytes
        guard let (said, keyID) = HandshakeWire.readClaim(&bytes) else {
            throw HandshakeFailure(.malformed)
        }
        let claimBytes = whole.getSlice(
            at: whole.readerIndex, length: whole.readableBytes - bytes.readableBytes)
        guard let claimBytes, let proof = HandshakeWire.readProof(&bytes),
            let signature = bytes.readSignature(), bytes.readableBytes == 0
        else { throw HandshakeFailure(.malformed) }
        transcript = Self.extend(transcript, with: claimBytes)
        let own = local.claim()
        guard said.publicKey != own.publicKey else { throw HandshakeFailure(.ownAddress) }
        if said.clusterID != .none, own.clusterID != .none, said.clusterID != own.clusterID {
            throw HandshakeFailure(.foreignCluster)
        }
        var claim = said
        claim.challengedAt = party.challengedAt
        claim.admission = secrets.check(proof, of: transcript, isInitiator: !isInitiator)
        var proofBytes = ByteBuffer()
        HandshakeWire.writeProof(proof, into: &proofBytes)
        transcript = Self.extend(transcript, with: proofBytes)
        let isSigned = claim.publicKey.verifies(
            signature, of: Self.bytes(transcript),
            for: isInitiator ? .responderHandshake : .initiatorHandshake)
        guard isSigned else { throw HandshakeFailure(.notAuthentic) }
        if let expected = party.expecting, claim.nodeID != expected {
            throw HandshakeFailure(.unexpectedPeer)
        }
        let standing = try Self.standing(of: claim, party.trust)
        return Proved(claim: claim, keyID: keyID, standing: standing)
    }

    /// The owner's verdict, held to what it may mean.
    private static func standing(of claim: PeerClaim, _ trust: any TrustStore)
        throws(HandshakeFailure) -> Standing
    {
        switch trust.judge(claim) {
        case .member(let node):
            guard claim.nodeID == node else { throw HandshakeFailure(.duplicateNodeID) }
            return .member
        case .candidate:
            guard claim.admission.isValid else { throw HandshakeFailure(.wrongSecret) }
            return .candidate
        case .operator:
            guard claim.admission.isValid else { throw HandshakeFailure(.wrongSecret) }
            return .operator
        case .refuse(let refusal): throw HandshakeFailure(refusal)
        }
    }
}
