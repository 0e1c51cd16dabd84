import NIOCore
import Testing

@testable import Broker

/// Frames out of a byte stream, however it arrives.
@Suite struct FrameCutterTests {
    private func frame(_ body: String) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(Int32(body.utf8.count))
        buffer.writeString(body)
        return buffer
    }

    private func all(_ cutter: inout FrameCutter) throws -> [String] {
        var frames: [String] = []
        while let next = try cutter.next() { frames.append(String(buffer: next)) }
        return frames
    }

    @Test func aWholeFrame() throws {
        var cutter = FrameCutter(frameMaximum: 100)
        cutter.append(frame("12345678"))
        #expect(try all(&cutter) == ["12345678"])
        #expect(cutter.pendingBytes == 0)
        #expect(!cutter.isGathering)
    }

    @Test func severalFramesInOneRead() throws {
        var cutter = FrameCutter(frameMaximum: 100)
        var bytes = frame("frame one")
        bytes.writeImmutableBuffer(frame("frame two"))
        bytes.writeImmutableBuffer(frame("frame three").getSlice(at: 0, length: 9) ?? ByteBuffer())
        cutter.append(bytes)
        #expect(try all(&cutter) == ["frame one", "frame two"])
        #expect(cutter.pendingBytes == 9)
        cutter.append(ByteBuffer(string: " three"))
        #expect(try all(&cutter) == ["frame three"])
    }

    @Test(arguments: 1...12)
    func frames(inPiecesOf size: Int) throws {
        var stream = ByteBuffer()
        let bodies = (0..<20).map { "body number \($0) " + String(repeating: "x", count: $0 * 7) }
        for body in bodies { stream.writeImmutableBuffer(frame(body)) }
        var cutter = FrameCutter(frameMaximum: 1_000)
        var found: [String] = []
        while stream.readableBytes > 0 {
            let piece = stream.readSlice(length: min(size, stream.readableBytes))
            cutter.append(piece ?? ByteBuffer())
            found += try all(&cutter)
            cutter.release(keepingCapacity: true)
        }
        #expect(found == bodies)
        #expect(cutter.pendingBytes == 0)
    }

    @Test func framesStayWhatTheyAreWhileOthersArrive() throws {
        var cutter = FrameCutter(frameMaximum: 100)
        cutter.append(frame("12345678"))
        let whole = try cutter.next()
        let first = try #require(whole)
        cutter.append(frame("abcdefgh"))
        let other = try cutter.next()
        let second = try #require(other)
        cutter.release(keepingCapacity: false)
        cutter.append(frame("ABCDEFGH"))
        #expect(String(buffer: first) == "12345678")
        #expect(String(buffer: second) == "abcdefgh")
    }

    @Test func lengthsThatNoRequestHas() {
        let cases: [(Int32, FrameCutter.Violation)] = [
            (-1, .negativeLength(-1)), (.min, .negativeLength(.min)), (0, .tooShort(0)),
            (7, .tooShort(7)), (101, .tooLong(101, limit: 100)),
            (.max, .tooLong(.max, limit: 100)),
        ]
        for (length, violation) in cases {
            var cutter = FrameCutter(frameMaximum: 100)
            cutter.append(ByteBuffer(integer: length))
            #expect(throws: violation) { try cutter.next() }
        }
    }

    @Test func lengthsAtTheBounds() throws {
        for length in [8, 100] {
            var cutter = FrameCutter(frameMaximum: 100)
            cutter.append(frame(String(repeating: "x", count: length)))
            #expect(try cutter.next()?.readableBytes == length)
        }
    }

    @Test func memoryFollowsWhatCameAndNotWhatIsClaimed() throws {
        var cutter = FrameCutter(frameMaximum: 1 << 30)
        var head = ByteBuffer(integer: Int32(1 << 29))
        head.writeString("hello")
        cutter.append(head)
        #expect(try cutter.next() == nil)
        #expect(cutter.capacity <= 2 * FrameCutter.reserveMaximum)
        let piece = ByteBuffer(repeating: 1, count: 1 << 20)
        for _ in 0..<8 {
            cutter.append(piece)
            #expect(try cutter.next() == nil)
        }
        #expect(cutter.pendingBytes == 9 + 8 << 20)
        #expect(cutter.capacity <= 32 << 20, "doubling at most")
    }

    @Test func aLargeBufferIsGivenBack() throws {
        var cutter = FrameCutter(frameMaximum: 1 << 30)
        var large = ByteBuffer(integer: Int32(4 << 20))
        large.writeRepeatingByte(1, count: 4 << 20)
        cutter.append(large.getSlice(at: 0, length: 100) ?? ByteBuffer())
        #expect(try cutter.next() == nil)
        cutter.append(large.getSlice(at: 100, length: large.readableBytes - 100) ?? ByteBuffer())
        #expect(try cutter.next()?.readableBytes == 4 << 20)
        cutter.release(keepingCapacity: true)
        #expect(cutter.capacity == 0)
    }
}
