public import Model
internal import NIOCore

/// A member's signed statement about another: that it does not answer, or is dead.
///
/// Signed by the accuser, so that independent confirmations cannot be fabricated; each accuser
/// counts once and nobody for itself. Only the subject refutes it, by a record with a higher
/// incarnation. Its layout:
///
///     0        kind: 1 suspect, 2 dead, 3 forced out by an operator
///     1        subject, Int32
///     5        boot epoch, UInt64
///     13       incarnation, UInt32
///     17       accuser, Int32
///     21       Ed25519 signature by the accuser, 64 bytes
public struct Accusation: Hashable, Sendable {
    /// What the accuser says.
    public enum Kind: UInt8, Hashable, Sendable {
        case suspect = 1
        case dead = 2
        case forcedOut = 3
    }

    public let kind: Kind
    public let subject: NodeID
    public let life: MemberLife
    public let accuser: NodeID
    public let signature: Signature

    static let encodedBytes = 21 + ByteBuffer.signatureBytes

    init(
        kind: Kind, subject: NodeID, life: MemberLife, accuser: NodeID, signer: some RecordSigner
    ) {
        self.kind = kind
        self.subject = subject
        self.life = life
        self.accuser = accuser
        signature = signer.sign(
            Self.body(kind, subject, life, accuser), context: .accusation)
    }

    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        let code = try bytes.take(UInt8.self)
        guard let kind = Kind(rawValue: code) else { throw .unknownKind(code) }
        self.kind = kind
        subject = NodeID(try bytes.take(Int32.self))
        let boot = BootEpoch(try bytes.take(UInt64.self))
        life = MemberLife(boot: boot, incarnation: Incarnation(try bytes.take(UInt32.self)))
        accuser = NodeID(try bytes.take(Int32.self))
        signature = try bytes.takeSignature()
    }

    func write(into bytes: inout ByteBuffer) {
        bytes.writeImmutableBuffer(Self.body(kind, subject, life, accuser))
        bytes.writeSignature(signature)
    }

    func isSigned(by key: PublicKey, _ signer: some RecordSigner) -> Bool {
        let body = Self.body(kind, subject, life, accuser)
        return signer.isValid(signature, of: body, context: .accusation, by: key)
    }

    private static func body(
        _ kind: Kind, _ subject: NodeID, _ life: MemberLife, _ accuser: NodeID
    ) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(encodedBytes)
        bytes.writeMultipleIntegers(
            kind.rawValue, subject.rawValue, life.boot.rawValue, life.incarnation.rawValue,
            accuser.rawValue)
        return bytes
    }
}
