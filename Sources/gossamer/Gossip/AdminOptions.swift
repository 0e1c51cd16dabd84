import ArgumentParser
import Broker
import Foundation
import NIOCore

/// How a command reaches a broker's inside: by the socket in its data directory, or over a link.
struct AdminOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Data directory of a broker on this machine (or GOSSAMER_DATA_DIR). Default: gossamer "
                + "under the user's data home.", valueName: "dir"))
    var dataDir: String?

    @Option(
        help: ArgumentHelp(
            "Mesh address of a broker elsewhere; needs --secret-file.", valueName: "host:port"))
    var via: String?

    @Option(
        help: ArgumentHelp(
            "File with the mesh's admission secret, for --via, and for what changes it.",
            valueName: "file"))
    var secretFile: String?

    @Option(
        help: ArgumentHelp(
            "Let this member answer, through the broker that is reached.", valueName: "n"))
    var from: Int32?

    func validate() throws {
        guard via == nil || secretFile != nil else {
            throw ValidationError(
                "--via \(via ?? ""): expected --secret-file too: only who has the secret may ask")
        }
        guard via == nil || dataDir == nil else {
            throw ValidationError("--via and --data-dir: expected one of them")
        }
    }

    /// Asks the broker and, where the question says so, through it all others.
    func ask(_ asked: InspectionQuestion) async throws -> InspectionAnswers {
        let codec = InspectionJSON()
        var question = asked
        if !question.everywhere, question.target == nil { question.target = from }
        let bytes = codec.bytes(of: question)
        let answer: ByteBuffer
        if let via {
            guard let address = HostPort(parsing: via) else {
                throw UsageError("--via \(via): expected HOST:PORT, for example 10.0.0.1:7946")
            }
            do {
                answer = try await OperatorLink.ask(
                    bytes, at: address, secretFile: DataHome.absolute(secretFile ?? ""))
            } catch {
                throw CommandFailure("\(error)")
            }
        } else {
            answer = try AdminClient.ask(bytes, in: directory())
        }
        guard let answers = codec.answers(from: answer) else {
            throw CommandFailure("the broker's answer can't be read: is it of another version?")
        }
        guard let first = answers.answers.first else {
            let who = answers.silent.map { "\($0)" }.joined(separator: ", ")
            throw CommandFailure("member \(who) does not answer: see gossamer gossip why \(who)")
        }
        let isRefused = question.everywhere ? answers.answers.allSatisfy { $0.error != nil } : true
        if let error = first.error, isRefused { throw CommandFailure(error) }
        return answers
    }

    /// Asks one broker and takes its answer.
    func askOne(_ question: InspectionQuestion) async throws -> InspectionAnswer {
        let answers = try await ask(question).answers
        guard let first = answers.first else { throw CommandFailure("no answer") }
        return first
    }

    /// Whether a broker was named on the command line.
    var isNamed: Bool { via != nil || dataDir != nil }

    /// Whether a broker on this machine can be asked without anybody's naming it.
    var isAtHand: Bool { unsafe access(directory() + "/admin.sock", R_OK) == 0 }

    /// One topic's partitions as all brokers know them, each leader with its backups.
    func askTopic(_ name: String) async throws -> [PartitionReport] {
        var reports: [PartitionReport] = []
        var question = InspectionQuestion(.topic, everywhere: true, key: name)
        while true {
            let answers = try await ask(question).answers
            for answer in answers { reports += answer.partitions ?? [] }
            // A broker that has heard of fewer partitions has no next one.
            guard let next = answers.compactMap(\.nextPartition).min(),
                UInt64(next) > question.after ?? 0
            else { return reports }
            question.after = UInt64(next)
        }
    }

    /// How often a live view asks: a link costs a handshake each time, the local socket nothing.
    var pollMilliseconds: Int { via == nil ? 250 : 1_000 }

    private func directory() -> String {
        let environment = ProcessInfo.processInfo.environment
        if let dataDir { return DataHome.absolute(dataDir) }
        if let named = environment["GOSSAMER_DATA_DIR"], !named.isEmpty {
            return DataHome.absolute(named)
        }
        return DataHome.defaultDirectory(environment: environment)
    }
}

/// One question over the admin socket of a broker on this machine.
enum AdminClient {
    /// Longer than the broker waits for other members.
    private static let patienceSeconds = 15
    /// More than any answer: tables are listed in pieces.
    private static let answerBytesMaximum = 256 << 20

    static func ask(_ question: ByteBuffer, in directory: String) throws -> ByteBuffer {
        let path = directory + "/admin.sock"
        let handle = try connect(path, directory)
        defer { close(handle) }
        var frame = Data()
        let size = UInt32(question.readableBytes)
        for shift: UInt32 in [24, 16, 8, 0] {
            frame.append(UInt8(truncatingIfNeeded: size >> shift))
        }
        frame.append(contentsOf: question.readableBytesView)
        try send(frame, to: handle)
        let head = try receive(4, from: handle)
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        guard length <= answerBytesMaximum else {
            throw CommandFailure("\(path): an answer of \(length) bytes: is it a broker?")
        }
        return ByteBuffer(bytes: try receive(length, from: handle))
    }

    private static func connect(_ path: String, _ directory: String) throws -> Int32 {
        let file = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard file >= 0 else { throw CommandFailure("no socket: \(SystemError.last)") }
        var limit = timeval(tv_sec: patienceSeconds, tv_usec: 0)
        unsafe setsockopt(
            file, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity else {
            close(file)
            throw CommandFailure("\(path): too long for a socket: use --via HOST:PORT")
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Foundation.connect(file, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let reason = SystemError.last
            close(file)
            throw CommandFailure(
                "no broker answers at \(path) (\(reason)). Name the data directory of one that "
                    + "runs with --data-dir, or one elsewhere with --via HOST:PORT "
                    + "--secret-file FILE")
        }
        return file
    }

    private static func send(_ data: Data, to file: Int32) throws {
        var sent = 0
        while sent < data.count {
            let count = unsafe data.withUnsafeBytes {
                unsafe write(file, $0.baseAddress! + sent, data.count - sent)
            }
            guard count > 0 else { throw CommandFailure("the broker hung up: \(SystemError.last)") }
            sent += count
        }
    }

    private static func receive(_ count: Int, from file: Int32) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var received = 0
        while received < count {
            let read = unsafe bytes.withUnsafeMutableBytes {
                unsafe Foundation.read(file, $0.baseAddress! + received, count - received)
            }
            guard read > 0 else {
                throw CommandFailure(
                    read == 0
                        ? "the broker hung up without an answer: its log may say why"
                        : "no answer from the broker: \(SystemError.last)")
            }
            received += read
        }
        return bytes
    }
}
