import Model
import NIOCore
import Sodium
import Testing

private func key(_ byte: UInt8 = 7) -> SecretBytes {
    SecretBytes(copying: ByteBuffer(repeating: byte, count: 32)) ?? SecretBytes(randomCount: 32)
}

/// Macros of the testing library can't look into values that can't be copied.
private func yes(_ value: Bool) -> Bool { value }

private func hex(_ text: String) -> ByteBuffer {
    var out = ByteBuffer()
    var rest = Substring(text)
    while !rest.isEmpty {
        out.writeInteger(UInt8(rest.prefix(2), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
    }
    return out
}

private func bytes(_ secret: borrowing SecretBytes) -> ByteBuffer {
    var out = ByteBuffer()
    secret.write(into: &out)
    return out
}

@Suite struct SecretTests {
    @Test func secretsCompareByContents() {
        let one = key(1)
        let two = key(2)
        let copy = one.duplicate(guarded: true)
        #expect(yes(one.isEqual(to: copy)))
        #expect(!yes(one.isEqual(to: two)))
        let shorter = SecretBytes(randomCount: 16)
        #expect(!yes(one.isEqual(to: shorter)))
        if SecretBytes(copying: ByteBuffer()) != nil { Issue.record("a secret of nothing") }
    }

    @Test func randomSecretsDiffer() {
        let one = SecretBytes(randomCount: 32)
        let two = SecretBytes(randomCount: 32, guarded: true)
        #expect(!yes(one.isEqual(to: two)))
        #expect(Libsodium.randomWord() != Libsodium.randomWord())
    }

    @Test func buffersCompareByContents() {
        let one = ByteBuffer(string: "abc")
        #expect(Libsodium.constantTimeEqual(one, ByteBuffer(string: "abc")))
        #expect(!Libsodium.constantTimeEqual(one, ByteBuffer(string: "abd")))
        #expect(!Libsodium.constantTimeEqual(one, ByteBuffer(string: "ab")))
        #expect(Libsodium.constantTimeEqual(ByteBuffer(), ByteBuffer()))
    }
}

@Suite struct HashTests {
    @Test("BLAKE2b-256 of \"abc\" (RFC 7693's function at 32 bytes)") func knownAnswer() {
        var out = ByteBuffer()
        out.writeWords(Digest(of: ByteBuffer(string: "abc")).words)
        let expected = "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"
        #expect(out == hex(expected))
    }

    @Test func derivationsDependOnKeyLabelAndContext() {
        let one = Digest(of: ByteBuffer(string: "1"))
        let two = Digest(of: ByteBuffer(string: "2"))
        let base = bytes(key().derive("a", one))
        #expect(base == bytes(key().derive("a", one)))
        #expect(base != bytes(key().derive("b", one)))
        #expect(base != bytes(key().derive("a", two)))
        #expect(base != bytes(key(8).derive("a", one)))
    }

    @Test func piecesHashLikeTheWhole() {
        var hasher = GenericHasher()
        hasher.update(ByteBuffer(string: "a"))
        hasher.update(ByteBuffer())
        hasher.update(ByteBuffer(string: "bc"))
        #expect(hasher.finish() == Digest(of: ByteBuffer(string: "abc")))
    }
}

@Suite struct SignatureTests {
    /// The public key of a key file; nil where that is none.
    private func publicKey(of file: ByteBuffer) -> PublicKey? {
        guard let key = SigningKey(keyFile: file) else { return nil }
        return key.publicKey
    }

    @Test func aKeyComesBackFromItsSeed() {
        let key = SigningKey()
        let (file, own) = (bytes(key.seed()), key.publicKey)
        #expect(publicKey(of: file) == own)
        #expect(publicKey(of: ByteBuffer(string: "short")) == nil)
    }

    @Test("RFC 8032, 7.1, test 1: the public key of a seed") func knownPublicKey() throws {
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
        var out = ByteBuffer()
        out.writeWords(try #require(publicKey(of: seed)).words)
        #expect(out == hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    }

    @Test func aSignatureHoldsForItsPurposeMessageAndKeyOnly() {
        let key = SigningKey()
        let other = SigningKey()
        let message = ByteBuffer(string: "alive")
        let signature = key.sign(message, for: .selfRecord)
        #expect(key.publicKey.verifies(signature, of: message, for: .selfRecord))
        for context in SigningContext.allCases where context != .selfRecord {
            #expect(!key.publicKey.verifies(signature, of: message, for: context))
        }
        #expect(!other.publicKey.verifies(signature, of: message, for: .selfRecord))
        #expect(!key.publicKey.verifies(signature, of: ByteBuffer(), for: .selfRecord))
        let mangled = Signature(r: signature.s, s: signature.r)
        #expect(!key.publicKey.verifies(mangled, of: message, for: .selfRecord))
    }

    @Test func signaturesTravel() {
        let signature = SigningKey().sign(ByteBuffer(string: "x"), for: .suspicion)
        var wire = ByteBuffer()
        #expect(wire.writeSignature(signature) == 64)
        var short = wire.getSlice(at: 0, length: 63) ?? ByteBuffer()
        #expect(short.readSignature() == nil && short.readableBytes == 63)
        #expect(wire.readSignature() == signature)
    }
}

@Suite struct AgreementTests {
    @Test func bothSidesGetTheSameKeys() {
        let client = KeyAgreement()
        let server = KeyAgreement()
        let (clientKey, serverKey) = (client.publicKey, server.publicKey)
        guard let one = client.sessionKeys(with: serverKey, asClient: true),
            let two = server.sessionKeys(with: clientKey, asClient: false)
        else {
            Issue.record("no keys")
            return
        }
        #expect(yes(one.transmit.isEqual(to: two.receive)))
        #expect(yes(one.receive.isEqual(to: two.transmit)))
        #expect(!yes(one.receive.isEqual(to: one.transmit)))
    }

    @Test func aKeyOfSmallOrderIsRefused() {
        let zero = AgreementKey(words: InlineWords4(0, 0, 0, 0))
        for asClient in [true, false] {
            if KeyAgreement().sessionKeys(with: zero, asClient: asClient) != nil {
                Issue.record("keys with a point of small order")
            }
        }
    }

    @Test func theSameSeedIsTheSamePair() {
        #expect(KeyAgreement(seed: key()).publicKey == KeyAgreement(seed: key()).publicKey)
    }
}

@Suite struct AEADTests {
    static let suites = CipherSuite.allCases.filter(\.isAvailable)

    @Test(arguments: suites) func sealedInPlaceAndOpened(suite: CipherSuite) {
        let aead = AEADKey(suite, key: key())
        let data = ByteBuffer(string: "who to whom")
        for size in [0, 1, 15, 16, 17, 1_200, 65_536] {
            var wire = ByteBuffer(string: "head")
            wire.writeRepeatingByte(0xAB, count: size)
            let plain = wire
            aead.seal(&wire, from: 4, counter: 9, associatedData: data)
            #expect(wire.readableBytes == plain.readableBytes + AEADKey.overhead)
            #expect(
                size < 16
                    || wire.getSlice(at: 4, length: size) != plain.getSlice(at: 4, length: size))
            var opened = wire
            #expect(yes(aead.open(&opened, from: 4, counter: 9, associatedData: data)))
            #expect(opened == plain)
        }
    }

    @Test(arguments: suites) func everyChangeIsNoticed(suite: CipherSuite) {
        let aead = AEADKey(suite, key: key())
        let data = ByteBuffer(string: "ad")
        var wire = ByteBuffer(string: "payload")
        aead.seal(&wire, from: 0, counter: 1, associatedData: data)
        for index in 0..<wire.readableBytes {
            for bit in 0..<8 {
                var changed = wire
                let byte = changed.getInteger(at: index, as: UInt8.self) ?? 0
                changed.setInteger(byte ^ (1 << UInt8(bit)), at: index)
                #expect(!yes(aead.open(&changed, from: 0, counter: 1, associatedData: data)))
            }
            var shorter = wire.getSlice(at: 0, length: index) ?? ByteBuffer()
            #expect(!yes(aead.open(&shorter, from: 0, counter: 1, associatedData: data)))
        }
        var copy = wire
        #expect(!yes(aead.open(&copy, from: 0, counter: 2, associatedData: data)))
        copy = wire
        #expect(!yes(aead.open(&copy, from: 0, counter: 1, associatedData: ByteBuffer())))
        let other = AEADKey(suite, key: key(8))
        copy = wire
        #expect(!yes(other.open(&copy, from: 0, counter: 1, associatedData: data)))
    }

    @Test(arguments: suites) func fragmentsAreAssembledBehindEachOther(suite: CipherSuite) {
        let aead = AEADKey(suite, key: key())
        var one = ByteBuffer(string: "ab")
        aead.seal(&one, from: 0, counter: 0, associatedData: ByteBuffer())
        var two = ByteBuffer(string: "cd")
        aead.seal(&two, from: 0, counter: 1, associatedData: ByteBuffer())
        var plain = ByteBuffer()
        #expect(yes(aead.open(one, at: 0, count: 18, into: &plain, counter: 0)))
        #expect(!yes(aead.open(two, at: 0, count: 18, into: &plain, counter: 0)))
        #expect(!yes(aead.open(two, at: 1, count: 18, into: &plain, counter: 1)))
        #expect(yes(aead.open(two, at: 0, count: 18, into: &plain, counter: 1)))
        #expect(plain == ByteBuffer(string: "abcd"))
    }

    @Test(arguments: suites) func readableBytesAreAuthenticated(suite: CipherSuite) {
        let aead = AEADKey(suite, key: key())
        var wire = ByteBuffer(string: "public")
        aead.authenticate(&wire, from: 0, counter: 3)
        #expect(wire.getString(at: 0, length: 6) == "public")
        #expect(yes(aead.isAuthentic(wire, at: 0, count: wire.readableBytes, counter: 3)))
        #expect(!yes(aead.isAuthentic(wire, at: 0, count: wire.readableBytes, counter: 4)))
        wire.setInteger(UInt8(0), at: 2)
        #expect(!yes(aead.isAuthentic(wire, at: 0, count: wire.readableBytes, counter: 3)))
        #expect(!yes(aead.isAuthentic(wire, at: 0, count: 3, counter: 3)))
    }
}

@Suite struct SecretStreamTests {
    private func pushed(_ stream: inout SecretStream, _ text: String, rekey: Bool = false)
        -> ByteBuffer
    {
        var out = ByteBuffer(integer: UInt8(0))
        out.writeString(text)
        stream.push(&out, from: 0, rekeying: rekey)
        return out
    }

    @Test func recordsArriveInTheirOrderOnly() {
        var header = ByteBuffer()
        var sender = SecretStream(sendingWith: key(), header: &header)
        if SecretStream(receivingWith: key(), header: ByteBuffer(string: "no")) != nil {
            Issue.record("a stream from a header of two bytes")
        }
        guard var receiver = SecretStream(receivingWith: key(), header: header) else {
            Issue.record("no stream")
            return
        }
        let one = pushed(&sender, "one", rekey: true)
        let two = pushed(&sender, "two")
        var plain = ByteBuffer()
        #expect(!yes(receiver.pull(two, at: 0, count: two.readableBytes, into: &plain)))
        #expect(yes(receiver.pull(one, at: 0, count: one.readableBytes, into: &plain)))
        #expect(!yes(receiver.pull(one, at: 0, count: one.readableBytes, into: &plain)))
        #expect(yes(receiver.pull(two, at: 0, count: two.readableBytes, into: &plain)))
        #expect(plain == ByteBuffer(string: "onetwo"))
    }

    @Test func readableRecordsAreAuthenticated() {
        var header = ByteBuffer()
        var sender = SecretStream(sendingWith: key(), header: &header)
        guard var receiver = SecretStream(receivingWith: key(), header: header) else {
            Issue.record("no stream")
            return
        }
        var wire = ByteBuffer(string: "public")
        sender.authenticate(&wire, from: 0)
        var changed = wire
        changed.setInteger(UInt8(0), at: 0)
        #expect(!yes(receiver.isAuthentic(changed, at: 0, count: changed.readableBytes)))
        #expect(!yes(receiver.isAuthentic(wire, at: 0, count: 16)))
        #expect(yes(receiver.isAuthentic(wire, at: 0, count: wire.readableBytes)))
        #expect(wire.getString(at: 0, length: 6) == "public")
    }
}
