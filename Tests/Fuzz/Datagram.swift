// A libFuzzer target, built by scripts/fuzz and not by the package.

import NIOCore
import Sodium
import Transport

/// What anybody may send to the mesh's UDP port: nothing of it may be opened. The first byte
/// chooses the suite.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDatagram(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count >= 1 else { return 0 }
    let all = UnsafeBufferPointer(start: data, count: count)
    let suites = CipherSuite.allCases.filter(\.isAvailable)
    let isOpened = HostileInput.datagram(
        ByteBuffer(bytes: all.dropFirst()), suite: suites[Int(all[0]) % suites.count])
    precondition(!isOpened, "a forged datagram was opened")
    return 0
}
