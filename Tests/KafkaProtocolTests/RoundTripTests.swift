import Model
import NIOCore
import Testing

@testable import KafkaProtocol

/// Every version of every message, both directions, with content from fixed seeds.
@Suite struct RoundTripTests {
    @Test func theTableNamesEveryKeyOnceInBothDirections() {
        #expect(MessageKind.requests.map(\.key) == APIKey.allCases)
        #expect(MessageKind.responses.map(\.key) == APIKey.allCases)
    }

    @Test(arguments: MessageKind.all)
    func everyVersionRoundTripsAndHasTheSizeForetold(kind: MessageKind) throws {
        for version in kind.key.versions {
            for seed in UInt64(0)..<40 {
                #expect(try kind.roundTrips(version, seed), "version \(version) seed \(seed)")
            }
        }
    }

    @Test(arguments: MessageKind.all)
    func everyStrictPrefixIsRefused(kind: MessageKind) throws {
        for version in kind.key.versions {
            for seed in UInt64(0)..<4 {
                let whole = try kind.encoded(version, seed)
                for length in 0..<whole.readableBytes {
                    let prefix = try #require(whole.getSlice(at: 0, length: length))
                    #expect(
                        throws: WireError.self, "version \(version) seed \(seed) length \(length)"
                    ) { try kind.reencoded(prefix, version) }
                }
            }
        }
    }

    @Test(arguments: MessageKind.all)
    func oneByteTooManyIsRefused(kind: MessageKind) throws {
        for version in kind.key.versions {
            for seed in UInt64(0)..<4 {
                var bytes = try kind.encoded(version, seed)
                bytes.writeInteger(0 as UInt8)
                #expect(throws: WireError.trailingBytes(1)) {
                    try kind.reencoded(bytes, version)
                }
            }
        }
    }

    /// Whatever a mutation leaves, decoding either refuses it or gives a message that encodes.
    @Test(arguments: MessageKind.all)
    func mutationsNeverTrap(kind: MessageKind) throws {
        var generator = SeededGenerator(seed: 7)
        for version in kind.key.versions {
            for seed in UInt64(0)..<25 {
                var bytes = try kind.encoded(version, seed)
                guard bytes.readableBytes > 0 else { continue }
                for _ in 0...Int.random(in: 0..<4, using: &generator) {
                    let at = Int.random(in: 0..<bytes.readableBytes, using: &generator)
                    let edges: [UInt8] = [
                        0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator),
                    ]
                    bytes.setInteger(
                        edges[Int.random(in: 0..<edges.count, using: &generator)], at: at)
                }
                _ = try? kind.reencoded(bytes, version)
            }
        }
    }

    @Test(arguments: MessageKind.all)
    func versionsOutOfRangeAreRefused(kind: MessageKind) throws {
        let empty = ByteBuffer()
        for version in [Int16.min, -1, kind.key.versions.upperBound + 1, .max] {
            #expect(
                throws: WireError.unsupportedVersion(apiKey: kind.key.rawValue, version: version)
            ) { try kind.reencoded(empty, version) }
        }
    }

    @Test func randomBytesNeverTrap() {
        var generator = SeededGenerator(seed: 11)
        for kind in MessageKind.all {
            for version in kind.key.versions {
                for _ in 0..<20 {
                    var bytes = ByteBuffer()
                    for _ in 0..<Int.random(in: 0..<60, using: &generator) {
                        bytes.writeInteger(UInt8.random(in: 0...255, using: &generator))
                    }
                    _ = try? kind.reencoded(bytes, version)
                }
            }
        }
    }
}
