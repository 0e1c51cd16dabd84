import Foundation

/// A Swift file of the repository, as written and with everything but code blanked out.
///
/// Rules about code look at `code`, where comments and string literals are spaces, so that a word
/// in a sentence is not a finding; both have the same lines and columns.
struct SourceFile {
    /// From the root of the repository, such as `Sources/Model/Time.swift`.
    let path: String
    let lines: [String]
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        code = Self.blanked(text)
    }

    /// The target that the file belongs to, such as `Model` or `ModelTests`.
    var target: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    var isTest: Bool { path.hasPrefix("Tests/") }

    /// All Swift files of the package, in the order of their paths.
    static let all: [SourceFile] = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        var paths = ["Package.swift"]
        for folder in ["Sources", "Tests"] {
            let files = FileManager.default.enumerator(atPath: root.path + "/" + folder)
            while let file = files?.nextObject() as? String {
                if file.hasSuffix(".swift") { paths.append(folder + "/" + file) }
            }
        }
        return paths.sorted().compactMap { path in
            guard
                let text = try? String(contentsOf: root.appending(path: path), encoding: .utf8)
            else { return nil }
            return SourceFile(path: path, text: text)
        }
    }()

    /// Where the scanner stands.
    private enum Place: Equatable {
        case code
        case lineComment
        case blockComment(depth: Int)
        case string(delimiter: String, pounds: Int)
    }

    /// Interpolations count as string: code in them is short enough to be seen.
    private static func blanked(_ text: String) -> [String] {
        let characters = Array(text)
        var place = Place.code
        var out: [Character] = []
        out.reserveCapacity(characters.count)
        var index = 0
        func starts(_ word: String, at index: Int) -> Bool {
            let end = index + word.count
            return end <= characters.count && characters[index..<end].elementsEqual(word)
        }
        func skip(_ count: Int) {
            for _ in 0..<count where index < characters.count {
                out.append(characters[index] == "\n" ? "\n" : " ")
                index += 1
            }
        }
        while index < characters.count {
            switch place {
            case .code:
                let pounds = characters[index...].prefix { $0 == "#" }.count
                if starts("//", at: index) {
                    place = .lineComment
                } else if starts("/*", at: index) {
                    place = .blockComment(depth: 1)
                    skip(2)
                } else if starts("\"", at: index + pounds) {
                    let triple = starts("\"\"\"", at: index + pounds)
                    let delimiter = triple ? "\"\"\"" : "\""
                    place = .string(delimiter: delimiter, pounds: pounds)
                    skip(pounds + delimiter.count)
                } else {
                    out.append(characters[index])
                    index += 1
                }
            case .lineComment:
                if characters[index] == "\n" { place = .code }
                skip(1)
            case .blockComment(let depth):
                if starts("*/", at: index) {
                    place = depth == 1 ? .code : .blockComment(depth: depth - 1)
                    skip(2)
                } else {
                    if starts("/*", at: index) { place = .blockComment(depth: depth + 1) }
                    skip(1)
                }
            case .string(let delimiter, let pounds):
                let closing = delimiter + String(repeating: "#", count: pounds)
                if starts(closing, at: index) {
                    place = .code
                    skip(closing.count)
                } else {
                    skip(pounds == 0 && characters[index] == "\\" ? 2 : 1)
                }
            }
        }
        return String(out).split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init)
    }
}
