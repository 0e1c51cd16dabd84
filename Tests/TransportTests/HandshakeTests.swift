import Model
import NIOCore
import Sodium
import Testing

@testable import Transport

private let alice = Person(number: 1)
private let bob = Person(number: 2)

@Suite struct HandshakeTests {
    @Test("SIGMA: both sides end with the same keys, one for each direction and purpose")
    func membersMeet() throws {
        let outcome = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice]))
        let one = try #require(outcome.initiator)
        let two = try #require(outcome.responder)
        #expect(one.claim.nodeID == NodeID(2) && two.claim.nodeID == NodeID(1))
        #expect(one.standing == .member && one.givenStanding == .member)
        #expect(one.keys[0] == two.keys[1] && one.keys[1] == two.keys[0])
        #expect(one.keys[2] == two.keys[3] && one.keys[3] == two.keys[2])
        #expect(Set(one.keys).count == 4)
        #expect(one.sendKeyID == 22 && two.sendKeyID == 11)
        #expect(outcome.frames.count == 4)
        #expect(outcome.frames.allSatisfy { $0.readableBytes <= Limits.handshakeFrameBytes + 4 })
    }

    @Test(
        arguments: [
            (true, true, CipherSuite.aes256GCM), (true, false, .xchacha20Poly1305),
            (false, true, .xchacha20Poly1305), (false, false, .xchacha20Poly1305),
        ] as [(Bool, Bool, CipherSuite)])
    func aesIsTakenWhereBothHaveIt(one: Bool, two: Bool, suite: CipherSuite) {
        guard CipherSuite.aes256GCM.isAvailable else { return }
        let outcome = shake(
            Side(alice.with { $0.offersAES = one }, knows: [bob]),
            Side(bob.with { $0.offersAES = two }, knows: [alice]))
        #expect(outcome.initiator?.suite == suite && outcome.responder?.suite == suite)
    }

    @Test(arguments: [LinkMode.seal, .authenticate], [LinkMode.seal, .authenticate])
    func bytesAreReadableOnlyWhereBothWantIt(one: LinkMode, two: LinkMode) {
        let outcome = shake(
            Side(alice.with { $0.mode = one }, knows: [bob]),
            Side(bob.with { $0.mode = two }, knows: [alice]))
        let mode: LinkMode = one == .authenticate && two == .authenticate ? .authenticate : .seal
        #expect(outcome.initiator?.mode == mode && outcome.responder?.mode == mode)
    }

    @Test func everyHandshakeHasItsOwnKeys() throws {
        let one = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice]), ephemeral: 1)
        let two = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice]), ephemeral: 2)
        let keys = try #require(one.initiator?.keys) + #require(two.initiator?.keys)
        #expect(Set(keys).count == 8)
    }

    @Test func aNewBootMakesNewDatagramKeysEvenOfTheSameEphemerals() throws {
        let one = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice]))
        let later = bob.with {
            $0.boot = 2
            $0.nonce = 2
        }
        let two = shake(Side(alice, knows: [bob]), Side(later, knows: [alice]))
        let keys = try #require(one.initiator?.keys) + #require(two.initiator?.keys)
        #expect(Set(keys).count == 8)
    }

    @Test func theInitiatorDoesNotShowItselfInTheClear() throws {
        let outcome = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice]))
        for person in [alice, bob] {
            var key = ByteBuffer()
            key.writeWords(person.publicKey.words)
            for frame in outcome.frames {
                let bytes = Array(frame.readableBytesView)
                #expect(!contains(bytes, Array(key.readableBytesView)))
                #expect(!contains(bytes, Array("mesh".utf8)))
            }
        }
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        bytes.indices.contains { bytes[$0...].starts(with: part) }
    }

    // MARK: Standing

    @Test func whoHasTheSecretIsACandidate() {
        let blank = alice.with {
            $0.cluster = ""
            $0.claimsNode = -1
            $0.role = .joiner
        }
        let outcome = shake(Side(blank), Side(bob))
        #expect(outcome.responder?.standing == .candidate)
        #expect(outcome.initiator?.standing == .candidate)
        #expect(outcome.initiator?.givenStanding == .candidate)
        #expect(outcome.responder?.claim.nodeID == nil)
        #expect(outcome.responder?.claim.admission == .current)
    }

    @Test func aCommandLineIsAnOperator() {
        let command = alice.with {
            $0.claimsNode = -1
            $0.role = .operator
        }
        let outcome = shake(Side(command, knows: [bob]), Side(bob))
        #expect(outcome.responder?.standing == .operator)
        #expect(outcome.initiator?.givenStanding == .operator)
    }

    @Test func thePreviousSecretIsStillTaken() {
        let rotated = bob.with {
            $0.secret = "the next secret of it"
            $0.previousSecret = "a secret of the mesh"
        }
        let outcome = shake(Side(alice, knows: [bob]), Side(rotated))
        #expect(outcome.responder?.claim.admission == .previous)
        #expect(outcome.responder?.standing == .candidate)
    }

    @Test func membersNeedNoSecret() {
        let outcome = shake(
            Side(alice.with { $0.secret = nil }, knows: [bob]),
            Side(bob.with { $0.secret = "an altogether other one" }, knows: [alice]))
        #expect(outcome.responder?.standing == .member)
        #expect(outcome.responder?.claim.admission == .absent)
        #expect(outcome.initiator?.claim.admission == .unknownSecret)
    }

    // MARK: Refusals

    /// Who refuses, and that the other is told the same.
    private func expectRefusal(
        _ refusal: HandshakeRefusal, byResponder: Bool = true, _ one: Side, _ two: Side,
        _ location: SourceLocation = #_sourceLocation
    ) {
        let outcome = shake(one, two)
        let refuser = byResponder ? outcome.responderFailure : outcome.initiatorFailure
        let refused = byResponder ? outcome.initiatorFailure : outcome.responderFailure
        #expect(refuser == HandshakeFailure(refusal), sourceLocation: location)
        var expected = HandshakeFailure(refusal, isRemote: true)
        // Only an initiator hears it from somebody who has proved a key.
        expected.member = byResponder ? NodeID(2) : nil
        #expect(refused == expected, sourceLocation: location)
        #expect(outcome.initiator == nil && outcome.responder == nil, sourceLocation: location)
    }

    @Test func aForeignClusterIsRefusedByTheInitiator() {
        let foreign = bob.with { $0.cluster = "another" }
        expectRefusal(
            .foreignCluster, byResponder: false, Side(alice, knows: [bob]),
            Side(foreign, knows: [alice]))
    }

    @Test(arguments: [nil, "not the secret of it"] as [String?])
    func aCandidateWithoutTheSecretIsRefused(secret: String?) {
        expectRefusal(
            .wrongSecret, Side(alice.with { $0.secret = secret }, knows: [bob]), Side(bob))
        expectRefusal(
            .wrongSecret, byResponder: false, Side(alice), Side(bob.with { $0.secret = secret }))
    }

    @Test func theRevokedAreRefused() {
        let two = Side(bob, knows: [alice])
        two.trust.revoked.insert(alice.publicKey)
        expectRefusal(.revoked, Side(alice, knows: [bob]), two)
    }

    @Test func aNodeIDOfAnotherKeyIsRefused() {
        let eve = Person(number: 3, claimsNode: 1)
        expectRefusal(.duplicateNodeID, Side(eve, knows: [bob]), Side(bob, knows: [alice]))
    }

    @Test func aMemberThatClaimsAnotherIDIsRefused() {
        let posing = alice.with { $0.claimsNode = 9 }
        expectRefusal(.duplicateNodeID, Side(posing, knows: [bob]), Side(bob, knows: [alice]))
    }

    @Test func aBootThatIsNotHigherIsRefused() {
        let two = Side(bob, knows: [alice])
        two.trust.boots.restore(StoreID(high: 7, low: 1), epoch: BootEpoch(5))
        expectRefusal(.staleBoot, Side(alice.with { $0.boot = 4 }, knows: [bob]), two)
        let five = alice.with { $0.boot = 5 }
        #expect(shake(Side(five, knows: [bob]), two).responder != nil)
        #expect(shake(Side(five, knows: [bob]), two).responder != nil, "the same process again")
        expectRefusal(.staleBoot, Side(five.with { $0.nonce = 9 }, knows: [bob]), two)
    }

    @Test func somebodyElseAtTheAddressIsRefused() {
        var one = Side(alice, knows: [bob])
        one.expecting = NodeID(3)
        expectRefusal(.unexpectedPeer, byResponder: false, one, Side(bob, knows: [alice]))
    }

    @Test func ourOwnAddressIsRefused() {
        expectRefusal(.ownAddress, byResponder: false, Side(alice), Side(alice))
    }

    @Test func anotherVersionIsToldSo() {
        let outcome = shake(Side(alice), Side(bob)) { turn, wire in
            if turn == 0 { wire.setInteger(UInt8(9), at: 9) }
        }
        #expect(outcome.responderFailure == HandshakeFailure(.versionMismatch))
        #expect(outcome.initiatorFailure == HandshakeFailure(.versionMismatch, isRemote: true))
    }

    @Test func aClearRefusalSaysNothingElse() {
        for reason in HandshakeRefusal.allCases where reason != .versionMismatch {
            let outcome = shake(Side(alice), Side(bob)) { turn, wire in
                guard turn == 1 else { return }
                wire = ByteBuffer(bytes: [0, 0, 0, 3, 5, reason.rawValue, 1])
            }
            #expect(outcome.initiatorFailure == HandshakeFailure(.malformed))
        }
    }

    // MARK: Whoever stands in between

    @Test func everyFlippedByteOfEveryMessageIsRefused() {
        let whole = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice]))
        for (turn, frame) in whole.frames.enumerated() {
            for index in 4..<frame.readableBytes {
                let outcome = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice])) {
                    guard $0 == turn else { return }
                    let byte = $1.getInteger(at: index, as: UInt8.self) ?? 0
                    $1.setInteger(byte ^ 0x10, at: index)
                }
                #expect(outcome.initiator == nil, "byte \(index) of message \(turn)")
                // The last message is the responder's: it has ended before that is changed.
                #expect(turn == 3 || outcome.responder == nil, "byte \(index) of \(turn)")
            }
        }
    }

    @Test func everyStrictPrefixOfEveryMessageIsRefused() {
        let whole = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice]))
        for (turn, frame) in whole.frames.enumerated() {
            for count in 0..<(frame.readableBytes - 4) {
                let outcome = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice])) {
                    guard $0 == turn else { return }
                    $1 = $1.getSlice(at: 0, length: 4 + count) ?? ByteBuffer()
                    $1.setInteger(UInt32(count), at: 0)
                }
                #expect(outcome.initiator == nil, "\(count) bytes of message \(turn)")
                #expect(turn == 3 || outcome.responder == nil, "\(count) bytes of \(turn)")
            }
        }
    }

    @Test func aRecordedMessageMeansNothingInAnotherHandshake() {
        let first = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice]), ephemeral: 1)
        for turn in 1..<4 {
            let outcome = shake(
                Side(alice, knows: [bob]), Side(bob, knows: [alice]), ephemeral: 3
            ) { if $0 == turn { $1 = first.frames[turn] } }
            #expect(outcome.initiator == nil)
            #expect(turn == 3 || outcome.responder == nil)
        }
    }

    @Test func aMessageSentBackIsRefused() {
        var frames: [ByteBuffer] = []
        let outcome = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice])) {
            if $0 == 1 { $1 = frames[0] }
            frames.append($1)
        }
        #expect(outcome.initiatorFailure == HandshakeFailure(.malformed))
    }

    @Test func randomBytesNeverTrap() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<1_000 {
            let count = Int(generator.next() % 520)
            var noise = ByteBuffer()
            for _ in 0..<count { noise.writeInteger(UInt8(truncatingIfNeeded: generator.next())) }
            if count > 0 { noise.setInteger(UInt8(generator.next() % 8), at: 0) }
            let outcome = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice])) {
                guard $0 == Int(count % 4) else { return }
                $1 = ByteBuffer(integer: UInt32(count))
                $1.writeImmutableBuffer(noise)
            }
            #expect(outcome.initiator == nil)
        }
    }

    @Test func anEndedHandshakeTakesNothingMore() {
        var responder = Handshake(respondingWith: KeyAgreement(), keyID: 1)
        var out = ByteBuffer()
        for _ in 0..<2 {
            do throws(HandshakeFailure) {
                let keys = try responder.receive(
                    ByteBuffer(string: "x"), local: bob.identity, secrets: bob.secrets,
                    party: .init(trust: TableOfMembers()), into: &out)
                if keys != nil { Issue.record("keys from nothing") }
            } catch {
                #expect(error == HandshakeFailure(.malformed))
            }
        }
        #expect(out.readableBytes == 0)
    }
}

@Suite struct AdmissionSecretTests {
    private func isTaken(_ count: Int) -> Bool {
        guard AdmissionSecrets(current: ByteBuffer(repeating: 7, count: count)) != nil else {
            return false
        }
        return true
    }

    @Test func secretsHaveALeastAndAGreatestLength() {
        #expect(!isTaken(15) && isTaken(16) && isTaken(4_096) && !isTaken(4_097))
    }

    @Test func aProofHoldsForItsTranscriptAndSideOnly() throws {
        let ring = alice.secrets
        let transcript = Digest(of: ByteBuffer(string: "t"))
        let shown = ring.prove(transcript, isInitiator: true)
        let proof = try #require(shown)
        let other = Digest(of: ByteBuffer(string: "u"))
        let results = [
            ring.check(proof, of: transcript, isInitiator: true),
            ring.check(proof, of: transcript, isInitiator: false),
            ring.check(proof, of: other, isInitiator: true),
        ]
        #expect(results == [.current, .wrong, .wrong])
        let none = AdmissionSecrets()
        let unproved = none.prove(transcript, isInitiator: true)
        let unknown = none.check(proof, of: transcript, isInitiator: true)
        #expect(unproved == nil && unknown == .unknownSecret)
    }
}
