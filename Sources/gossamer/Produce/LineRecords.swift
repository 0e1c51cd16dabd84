import Client
import Foundation
import Model
import NIOCore

/// Makes records of lines: key before the separator, value behind it.
struct LineRecords {
    let separator: [UInt8]?
    let headers: [RecordField]
    let partition: Int32?
    let tombstones: Bool

    func record(_ line: ArraySlice<UInt8>, _ now: Timestamp) -> OutgoingRecord {
        var key: ByteBuffer?
        var value = line
        if let separator, let range = line.firstRange(of: separator) {
            key = ByteBuffer(bytes: line[..<range.lowerBound])
            value = line[range.upperBound...]
        }
        let isNull = tombstones && value.isEmpty
        return OutgoingRecord(
            key: key, value: isNull ? nil : ByteBuffer(bytes: value), headers: headers,
            timestamp: now, partition: partition)
    }
}

/// Reads lines from a descriptor in whatever portions they arrive.
struct LineReader {
    /// One read: large enough for speed, small enough that a line is soon on its way.
    private static let readBytes = 64 * 1024
    /// Longest line: above it brokers refuse the record anyway.
    static let lineBytesMax = 64 * 1024 * 1024

    private let descriptor: Int32
    private var rest: [UInt8] = []
    private var isAtEnd = false

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// The next lines without their ends, at least one portion of input; nil at the end.
    mutating func next() throws -> [ArraySlice<UInt8>]? {
        guard !isAtEnd else { return nil }
        var portion = [UInt8](repeating: 0, count: Self.readBytes)
        let count = unsafe portion.withUnsafeMutableBytes { buffer in
            unsafe read(descriptor, buffer.baseAddress, buffer.count)
        }
        guard count >= 0 else {
            if errno == EINTR { return [] }
            throw CommandFailure("standard input cannot be read (\(SystemError.last))")
        }
        guard count > 0 else {
            isAtEnd = true
            return rest.isEmpty ? nil : [ArraySlice(rest)]
        }
        let bytes = rest + portion[..<count]
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        rest = Array(lines.removeLast())
        guard rest.count <= Self.lineBytesMax else {
            throw CommandFailure("a line of more than \(Self.lineBytesMax) bytes")
        }
        return lines
    }

    /// Whether a read would return at once.
    var hasMoreWaiting: Bool {
        guard !isAtEnd else { return false }
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&waiting, 1, 0) > 0
    }
}
