// A libFuzzer target, built by scripts/fuzz and not by the package.

import NIOCore
import Sodium
import Transport

/// What a peer may send on a link whose keys are agreed. The first byte chooses the suite.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLinkRecords(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count >= 1 else { return 0 }
    let all = UnsafeBufferPointer(start: data, count: count)
    let suites = CipherSuite.allCases.filter(\.isAvailable)
    HostileInput.records(
        ByteBuffer(bytes: all.dropFirst()), suite: suites[Int(all[0]) % suites.count])
    return 0
}
