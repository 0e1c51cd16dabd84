import CSodium
public import Model
public import NIOCore

// How the fixed-size values of Model become bytes and come back: words in network order, so that
// the bytes on the wire are the bytes that libsodium sees.

extension InlineWords4 {
    init(bytes: UnsafePointer<UInt8>) {
        let raw = unsafe UnsafeRawPointer(bytes)
        func word(_ index: Int) -> UInt64 {
            unsafe UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        self.init(word(0), word(1), word(2), word(3))
    }

    /// The 32 bytes in memory for one call.
    func withBytes<R>(_ body: (UnsafePointer<UInt8>) -> R) -> R {
        let words = (a.bigEndian, b.bigEndian, c.bigEndian, d.bigEndian)
        return unsafe withUnsafeBytes(of: words) { bytes in
            unsafe body(bytes.baseAddress!.assumingMemoryBound(to: UInt8.self))
        }
    }
}

extension ByteBuffer {
    /// Appends 32 bytes.
    @discardableResult
    public mutating func writeWords(_ words: InlineWords4) -> Int {
        writeMultipleIntegers(words.a, words.b, words.c, words.d)
    }

    /// The next 32 bytes; nil, and nothing read, where there are fewer.
    public mutating func readWords() -> InlineWords4? {
        readMultipleIntegers(as: (UInt64, UInt64, UInt64, UInt64).self)
            .map { InlineWords4($0.0, $0.1, $0.2, $0.3) }
    }

    /// Appends a signature's 64 bytes.
    @discardableResult
    public mutating func writeSignature(_ signature: Signature) -> Int {
        writeWords(signature.r) + writeWords(signature.s)
    }

    /// The next 64 bytes as a signature; nil, and nothing read, where there are fewer.
    public mutating func readSignature() -> Signature? {
        guard readableBytes >= 64, let r = readWords(), let s = readWords() else { return nil }
        return Signature(r: r, s: s)
    }
}
