import Model
import NIOCore
import Sodium
import Testing
import Transport

/// What a fuzzer will do for longer: random bytes, and bytes that look right at the beginning.
@Suite struct HostileInputTests {
    @Test(arguments: CipherSuite.allCases.filter(\.isAvailable))
    func noBytesTrap(suite: CipherSuite) {
        var generator = SeededGenerator(seed: 9)
        for round in 0..<2_000 {
            var noise = ByteBuffer()
            if round % 2 == 0 { noise.writeBytes([0x47, 0x20, 0x20, 0x20, 0x20, 0, 0, 0, 0]) }
            if round % 3 == 0 { noise.writeBytes([0, 39, 1, 0x47, 0x4D, 0x45, 0x53, 1, 1]) }
            for _ in 0..<(generator.next() % 400) {
                noise.writeInteger(UInt8(truncatingIfNeeded: generator.next() % 16))
            }
            if round % 10 == 0 { #expect(!HostileInput.handshake(noise)) }
            #expect(!HostileInput.datagram(noise, suite: suite))
            HostileInput.records(noise, suite: suite)
        }
    }
}
