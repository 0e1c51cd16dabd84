import Foundation

/// Runs that are kept in a file, a line of JSON for each, so that many seeds may be run in pieces.
///
/// A line is written whole, behind the last; one that was torn by a kill is cut off. One process
/// at a time.
final class RunFile {
    /// What is in it, by seed.
    private(set) var runs: [UInt64: MeshRun] = [:]
    private let file: FileHandle

    /// Why a file is not taken.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init(path: String) throws {
        let isThere = FileManager.default.fileExists(atPath: path)
        guard isThere || FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forUpdatingAtPath: path)
        else {
            throw Failure(
                description: "--out \(path): can't be written; expected a file in a directory "
                    + "that is there and yours")
        }
        self.file = file
        let bytes = try file.readToEnd() ?? Data()
        let whole = bytes.lastIndex(of: UInt8(ascii: "\n")).map { bytes[...$0] } ?? Data()
        let decoder = JSONDecoder()
        for (index, line) in whole.split(separator: UInt8(ascii: "\n")).enumerated() {
            guard let run = try? decoder.decode(MeshRun.self, from: Data(line)) else {
                throw Failure(
                    description: "--out \(path), line \(index + 1): no run of gossamer-sim; "
                        + "expected a file that --out wrote, or none")
            }
            runs[run.seed] = run
        }
        try file.truncate(atOffset: UInt64(whole.count))
    }

    func append(_ run: MeshRun) throws {
        try file.write(contentsOf: Data((try run.line() + "\n").utf8))
        runs[run.seed] = run
    }
}
