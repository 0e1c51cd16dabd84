import NIOCore
public import Storage

extension LogRead {
    /// The bytes that it puts on the wire.
    public var byteCount: Int {
        switch self {
        case .empty: 0
        case .memory(let bytes): bytes.readableBytes
        case .file(let slice): slice.length
        }
    }
}
