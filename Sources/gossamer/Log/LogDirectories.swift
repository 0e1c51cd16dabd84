import Foundation

/// Finds the partitions' directories below a data directory: those that hold segment files.
enum LogDirectories {
    /// How deep to look: a data directory keeps them two levels down.
    private static let depthMax = 4

    /// Paths relative to `root`, sorted; "." where `root` itself is a partition's directory.
    static func find(in root: String) throws(CommandFailure) -> [String] {
        guard FileManager.default.fileExists(atPath: root) else {
            throw CommandFailure("\(root): there is no such directory")
        }
        guard (try? FileManager.default.contentsOfDirectory(atPath: root)) != nil else {
            throw CommandFailure("\(root): expected a directory that can be read")
        }
        var found: [String] = []
        collect(root, "", 0, &found)
        return found.sorted { $0.compare($1, options: .numeric) == .orderedAscending }
    }

    private static func collect(
        _ root: String, _ path: String, _ depth: Int, _ found: inout [String]
    ) {
        let here = path.isEmpty ? root : root + "/" + path
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: here) else { return }
        if names.contains(where: isSegment) { found.append(path.isEmpty ? "." : path) }
        guard depth < depthMax else { return }
        // What is no directory cannot be listed and ends the descent by itself.
        for name in names where !name.contains(".") {
            collect(root, path.isEmpty ? name : path + "/" + name, depth + 1, &found)
        }
    }

    /// Segments are named by the offset of their first record, 20 digits.
    static func isSegment(_ name: String) -> Bool {
        name.hasSuffix(".log") && name.count == 24 && Quantities.isDigits(name.dropLast(4))
    }
}
