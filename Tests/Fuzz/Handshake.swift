// A libFuzzer target, built by scripts/fuzz and not by the package.

import NIOCore
import Transport

/// What anybody may send to the mesh port before it has proved anything. None of it may be taken
/// for a handshake.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHandshake(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = ByteBuffer(bytes: UnsafeBufferPointer(start: data, count: count))
    precondition(!HostileInput.handshake(bytes), "a stranger got through")
    return 0
}
