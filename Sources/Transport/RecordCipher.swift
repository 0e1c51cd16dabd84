import Model
import NIOCore
import Sodium

/// One direction's sending half of a link: turns contents into sealed records.
///
///     length u32 | sealed content            (AES-256-GCM: content, tag 16)
///     length u32 | sealed content            (secretstream: tag 1, content, MAC 16)
///     length u32 | content | tag or tag+MAC  (mode authenticate: readable, same counters)
///
/// With `crypto_secretstream` the first frame is its 24-byte header. Neither counters nor nonces
/// travel: both ends count, so that a record replayed, left out, moved or changed can't be opened.
/// Owned by its link. Costs one pass over the bytes.
struct RecordSealer: ~Copyable {
    private enum Cipher: ~Copyable {
        case aes(AEADKey, SecretBytes)
        case stream(SecretStream)
        /// While a record is sealed.
        case inUse
    }

    private var cipher: Cipher
    private let mode: LinkMode
    private var counter: UInt64 = 0
    /// Sealed with the present key.
    private var bytes: UInt64 = 0
    private var since: Instant

    /// Writes what the receiver needs before the first record.
    init(
        suite: CipherSuite, mode: LinkMode, key: consuming SecretBytes, now: Instant,
        into wire: inout ByteBuffer
    ) {
        self.mode = mode
        since = now
        switch suite {
        case .aes256GCM: cipher = .aes(AEADKey(.aes256GCM, key: key), key)
        case .xchacha20Poly1305:
            wire.writeInteger(UInt32(SecretStream.headerBytes))
            cipher = .stream(SecretStream(sendingWith: key, header: &wire))
        }
    }

    /// Whether the key has served long enough; the owner then seals a rekey record.
    func isRekeyDue(now: Instant) -> Bool {
        bytes >= Limits.rekeyBytes || now.milliseconds(since: since) >= Limits.rekeyMilliseconds
    }

    /// Appends a record whose content `write` appends; with `rekeying` the next one has a new key.
    mutating func seal(
        into wire: inout ByteBuffer, rekeying: Bool = false, now: Instant,
        _ write: (inout ByteBuffer) -> Void
    ) {
        let start = wire.writerIndex
        wire.writeInteger(UInt32(0))
        var current = Cipher.inUse
        swap(&current, &cipher)
        switch consume current {
        case .aes(let key, let raw):
            write(&wire)
            switch mode {
            case .seal:
                key.seal(&wire, from: start + 4, counter: counter, associatedData: ByteBuffer())
            case .authenticate: key.authenticate(&wire, from: start + 4, counter: counter)
            }
            counter += 1
            if rekeying {
                let next = RecordRekeying.next(raw)
                cipher = .aes(AEADKey(.aes256GCM, key: next), next)
                counter = 0
            } else {
                cipher = .aes(key, raw)
            }
        case .stream(var stream):
            switch mode {
            case .seal:
                wire.writeInteger(UInt8(0))
                write(&wire)
                stream.push(&wire, from: start + 4, rekeying: rekeying)
            case .authenticate:
                write(&wire)
                stream.authenticate(&wire, from: start + 4, rekeying: rekeying)
            }
            cipher = .stream(stream)
        case .inUse: preconditionFailure("a record is sealed within another")
        }
        let size = wire.writerIndex - start - 4
        wire.setInteger(UInt32(size), at: start)
        bytes += UInt64(size)
        if rekeying {
            bytes = 0
            since = now
        }
    }
}

/// How the next AES key comes from the last: BLAKE2b(key: last, label). Whoever learns the later
/// one learns nothing of what was sealed before.
enum RecordRekeying {
    static func next(_ key: borrowing SecretBytes) -> SecretBytes {
        key.derive("gossamer link rekey 1", Digest(words: InlineWords4(0, 0, 0, 0)))
    }
}

/// One direction's receiving half of a link: gathers bytes, and opens whole records in their order.
///
/// The buffer grows with the bytes that came and not with the length that was claimed. After the
/// first violation there is no second record. Owned by its link.
struct RecordOpener: ~Copyable {
    private enum Cipher: ~Copyable {
        case aes(AEADKey, SecretBytes)
        /// The key waits for the stream's header.
        case header(SecretBytes)
        case stream(SecretStream)
        case broken
    }

    private var cipher: Cipher
    private let mode: LinkMode
    private let overhead: Int
    private var counter: UInt64 = 0

    init(suite: CipherSuite, mode: LinkMode, key: consuming SecretBytes) {
        self.mode = mode
        switch suite {
        case .aes256GCM:
            overhead = AEADKey.overhead
            cipher = .aes(AEADKey(.aes256GCM, key: key), key)
        case .xchacha20Poly1305:
            overhead = SecretStream.overhead
            cipher = .header(key)
        }
    }

    /// The next record's content; nil where more bytes are needed.
    ///
    /// `isRekey` looks at a content and says whether the sender changed its key behind it.
    mutating func next(_ wire: inout ByteBuffer) throws(LinkViolation) -> ByteBuffer? {
        while true {
            guard let size = wire.getInteger(at: wire.readerIndex, as: UInt32.self) else {
                return nil
            }
            let count = Int(size)
            guard count >= overhead, count <= Limits.recordBytes + overhead else {
                throw fail(.badLength)
            }
            guard wire.readableBytes >= 4 + count else { return nil }
            let index = wire.readerIndex + 4
            defer { wire.moveReaderIndex(forwardBy: 4 + count) }
            if let content = try open(wire, at: index, count: count) { return content }
        }
    }

    private mutating func fail(_ violation: LinkViolation) -> LinkViolation {
        cipher = .broken
        return violation
    }

    /// Nil where the frame was a stream's header.
    private mutating func open(_ wire: ByteBuffer, at index: Int, count: Int)
        throws(LinkViolation) -> ByteBuffer?
    {
        var current = Cipher.broken
        swap(&current, &cipher)
        switch consume current {
        case .aes(let key, let raw):
            var plain = ByteBuffer()
            switch mode {
            case .seal:
                guard key.open(wire, at: index, count: count, into: &plain, counter: counter)
                else { throw .notAuthentic }
            case .authenticate:
                guard key.isAuthentic(wire, at: index, count: count, counter: counter) else {
                    throw .notAuthentic
                }
                plain = wire.getSlice(at: index, length: count - overhead) ?? plain
            }
            counter += 1
            if LinkRecord.isRekey(plain) {
                let next = RecordRekeying.next(raw)
                cipher = .aes(AEADKey(.aes256GCM, key: next), next)
                counter = 0
            } else {
                cipher = .aes(key, raw)
            }
            return plain
        case .header(let key):
            guard let header = wire.getSlice(at: index, length: count),
                let stream = SecretStream(receivingWith: key, header: header)
            else { throw .badLength }
            cipher = .stream(stream)
            return nil
        case .stream(var stream):
            var plain = ByteBuffer()
            switch mode {
            case .seal:
                guard stream.pull(wire, at: index, count: count, into: &plain) else {
                    throw .notAuthentic
                }
            case .authenticate:
                guard stream.isAuthentic(wire, at: index, count: count) else {
                    throw .notAuthentic
                }
                plain = wire.getSlice(at: index, length: count - overhead) ?? plain
            }
            cipher = .stream(stream)
            return plain
        case .broken: throw .notAuthentic
        }
    }
}
