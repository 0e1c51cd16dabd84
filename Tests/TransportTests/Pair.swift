import Model
import NIOCore
import Sodium
import Testing

@testable import Transport

/// A trust store with a table: what the broker's will do, without its disk.
final class TableOfMembers: TrustStore {
    var members: [PublicKey: NodeID] = [:]
    var revoked: Set<PublicKey> = []
    var boots = BootLedger()
    /// Changes the table behind a verdict.
    var afterJudging: ((TableOfMembers) -> Void)?

    func judge(_ claim: PeerClaim) -> Verdict {
        defer { afterJudging?(self) }
        if revoked.contains(claim.publicKey) { return .refuse(.revoked) }
        if claim.role == .operator { return .operator }
        guard let node = members[claim.publicKey] else {
            let isTaken = members.values.contains { $0 == claim.nodeID }
            return isTaken ? .refuse(.duplicateNodeID) : .candidate
        }
        guard boots.accepts(claim) else { return .refuse(.staleBoot) }
        return .member(node)
    }
}

/// What makes a test's broker who it is: the same each time it is made.
struct Person: Sendable {
    var number: Int32
    var cluster = "mesh"
    var boot: UInt64 = 1
    var nonce: UInt64 = 1
    var role = PeerRole.broker
    var mode = LinkMode.seal
    var offersAES = true
    var claimsNode: Int32?
    var secret: String? = "a secret of the mesh"
    var previousSecret: String?

    var seed: ByteBuffer { ByteBuffer(repeating: UInt8(number), count: 32) }

    func key() -> SigningKey { SigningKey(keyFile: seed) ?? SigningKey() }

    var publicKey: PublicKey { key().publicKey }

    var identity: LocalIdentity {
        LocalIdentity(
            signingKey: key(), clusterID: ClusterID(cluster) ?? .none,
            nodeID: claimsNode == -1 ? nil : NodeID(claimsNode ?? number),
            storeID: StoreID(high: 7, low: UInt64(number)), bootEpoch: BootEpoch(boot),
            role: role, mode: mode, bootNonce: BootNonce(high: 0, low: nonce),
            offersAES: offersAES)
    }

    var secrets: AdmissionSecrets {
        guard let secret else { return AdmissionSecrets() }
        return AdmissionSecrets(
            current: ByteBuffer(string: secret),
            previous: previousSecret.map { ByteBuffer(string: $0) }) ?? AdmissionSecrets()
    }

    func with(_ change: (inout Person) -> Void) -> Person {
        var copy = self
        change(&copy)
        return copy
    }
}

/// One end of a handshake that runs in memory.
struct Side {
    var person: Person
    let trust = TableOfMembers()
    var expecting: NodeID?

    init(_ person: Person, knows: [Person] = []) {
        self.person = person
        for other in knows { trust.members[other.publicKey] = NodeID(other.number) }
    }
}

/// How a handshake in memory went.
struct Outcome {
    var frames: [ByteBuffer] = []
    var initiatorFailure: HandshakeFailure?
    var responderFailure: HandshakeFailure?
    var initiator: Ends?
    var responder: Ends?

    /// A copy of an `Established` that tests can hold.
    struct Ends {
        let claim: PeerClaim
        let standing: Standing
        let givenStanding: Standing
        let suite: CipherSuite
        let mode: LinkMode
        let keys: [ByteBuffer]
        let sendKeyID: UInt32

        init(_ keys: borrowing Established) {
            claim = keys.claim
            standing = keys.standing
            givenStanding = keys.givenStanding
            suite = keys.suite
            mode = keys.mode
            sendKeyID = keys.sendKeyID
            var copies = [ByteBuffer](repeating: ByteBuffer(), count: 4)
            keys.linkTransmit.write(into: &copies[0])
            keys.linkReceive.write(into: &copies[1])
            keys.datagramTransmit.write(into: &copies[2])
            keys.datagramReceive.write(into: &copies[3])
            self.keys = copies
        }

        func established() -> Established {
            func secret(_ index: Int) -> SecretBytes {
                SecretBytes(copying: keys[index]) ?? SecretBytes(randomCount: 32)
            }
            return Established(
                claim: claim, standing: standing, givenStanding: givenStanding, suite: suite,
                mode: mode, linkTransmit: secret(0), linkReceive: secret(1),
                datagramTransmit: secret(2), datagramReceive: secret(3), sendKeyID: sendKeyID)
        }
    }
}

/// Runs a handshake in memory. `meddle` may change the bytes of a message (0 is the hello), with
/// its length in front as it travels.
func shake(
    _ one: Side, _ two: Side, ephemeral: UInt8 = 1,
    meddle: (Int, inout ByteBuffer) -> Void = { _, _ in }
) -> Outcome {
    var outcome = Outcome()
    func agreement(_ byte: UInt8) -> KeyAgreement {
        let seed = SecretBytes(copying: ByteBuffer(repeating: byte, count: 32))
        return KeyAgreement(seed: seed ?? SecretBytes(randomCount: 32))
    }
    var wire = ByteBuffer()
    var initiator = Handshake(
        initiatingWith: agreement(ephemeral), keyID: 11, local: one.person.identity, into: &wire)
    var responder = Handshake(respondingWith: agreement(ephemeral + 100), keyID: 22)
    for turn in 0..<5 where wire.readableBytes > 0 {
        meddle(turn, &wire)
        outcome.frames.append(wire)
        guard let length = wire.readInteger(as: UInt32.self),
            let message = wire.readSlice(length: Int(length))
        else { return outcome }
        wire = ByteBuffer()
        let isForResponder = turn % 2 == 0
        do throws(HandshakeFailure) {
            if isForResponder {
                let keys = try responder.receive(
                    message, local: two.person.identity, secrets: two.person.secrets,
                    party: .init(trust: two.trust), into: &wire)
                if let keys { outcome.responder = .init(keys) }
            } else {
                let keys = try initiator.receive(
                    message, local: one.person.identity, secrets: one.person.secrets,
                    party: .init(trust: one.trust, expecting: one.expecting), into: &wire)
                if let keys { outcome.initiator = .init(keys) }
            }
        } catch {
            if isForResponder {
                outcome.responderFailure = error
            } else {
                outcome.initiatorFailure = error
            }
        }
    }
    return outcome
}
