/// The rules of the repository that no compiler and no formatter checks.
///
/// Each takes a file and names its findings as `path:line: what is wrong`.
enum Rules {
    typealias Rule = @Sendable (SourceFile) -> [String]

    /// Longer files hold more than one subject.
    static let fileLinesMax = 400
    /// Longer functions cannot be seen at once.
    static let functionLinesMax = 70
    /// What the formatter is set to.
    static let columnsMax = 100

    /// Values that turn inputs into effects: without clock, entropy, file, socket and log.
    static let pureTargets: Set<String> = [
        "Model", "Gossip", "Paxos", "Replication", "Coordination", "Node", "Routes", "Simulation",
    ]
    static let executables: Set<String> = [
        "gossamer", "gossamer-bench", "gossamer-mutants", "gossamer-sim",
    ]

    private static func finding(_ file: SourceFile, _ line: Int, _ text: String) -> String {
        "\(file.path):\(line + 1): \(text)"
    }

    static let fileLength: Rule = { file in
        let count = file.lines.last == "" ? file.lines.count - 1 : file.lines.count
        return count > fileLinesMax ? [finding(file, 0, "\(count) lines")] : []
    }

    static let lineLength: Rule = { file in
        file.lines.indices.filter { file.lines[$0].count > columnsMax }
            .map { finding(file, $0, "\(file.lines[$0].count) columns") }
    }

    /// From the line of the declaration to the one of its closing brace.
    static let functionLength: Rule = { file in
        var findings: [String] = []
        for start in file.code.indices where declaresFunction(file.code[start]) {
            guard let end = lastLine(ofBodyFrom: start, in: file.code) else { continue }
            let count = end - start + 1
            if count > functionLinesMax {
                findings.append(finding(file, start, "a function of \(count) lines"))
            }
        }
        return findings
    }

    static let bannedCode: Rule = { file in
        var banned = ["try!", "as!", "-Ounchecked"]
        if !file.isTest {
            banned.append("fatalError(")
            if !executables.contains(file.target) { banned += ["print(", "debugPrint("] }
        }
        return occurrences(of: banned, in: file)
    }

    /// Work that is left lives in issues.
    static let leftovers: Rule = { file in
        let words = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "not implemen" + "ted"]
        return file.lines.indices.flatMap { line in
            words.filter { file.lines[line].contains($0) }.map { finding(file, line, $0) }
        }
    }

    /// The comment stands on the line, or on the ones right above it.
    static let uncheckedSendable: Rule = { file in
        file.code.indices.filter { line in
            guard file.code[line].contains("@unchecked Sendable") else { return false }
            if file.lines[line].contains("//") { return false }
            var above = line - 1
            while above >= 0, trimmed(file.lines[above]).hasPrefix("@") { above -= 1 }
            return above < 0 || !trimmed(file.lines[above]).hasPrefix("//")
        }.map { finding(file, $0, "@unchecked Sendable without its reason") }
    }

    static let imports: Rule = { file in
        guard !file.isTest, file.path != "Package.swift" else { return [] }
        return file.code.indices.compactMap { line in
            let words = file.code[line].split(separator: " ").map(String.init)
            guard let keyword = words.firstIndex(of: "import"), keyword + 1 < words.count,
                words[..<keyword].allSatisfy({ importModifiers.contains($0) })
            else { return nil }
            let module = words[words.count - 1].split(separator: ".").first.map(String.init) ?? ""
            if module.hasPrefix("Foundation"), !executables.contains(file.target) {
                return finding(file, line, "\(module) outside the executables")
            }
            let impure = module.hasPrefix("NIO") && module != "NIOCore"
            if pureTargets.contains(file.target), impure || impureModules.contains(module) {
                return finding(file, line, "\(module) in a pure target")
            }
            return nil
        }
    }

    static let purity: Rule = { file in
        guard pureTargets.contains(file.target) else { return [] }
        return occurrences(of: impureWords, in: file)
    }

    /// Suffixes that name no subject.
    static let names: Rule = { file in
        file.code.indices.compactMap { line in
            guard let name = declaredType(file.code[line]) else { return nil }
            let vague = ["Manager", "Helper", "Helpers", "Util", "Utils", "Utilities"]
            return vague.contains { name.hasSuffix($0) } ? finding(file, line, name) : nil
        }
    }

    /// Every type that is not private says what it is.
    static let documentedTypes: Rule = { file in
        guard !file.isTest, file.path != "Package.swift" else { return [] }
        return file.code.indices.compactMap { line in
            guard let name = declaredType(file.code[line]) else { return nil }
            if file.code[line].contains("private ") { return nil }
            var above = line - 1
            while above >= 0, trimmed(file.lines[above]).hasPrefix("@") { above -= 1 }
            let documented = above >= 0 && trimmed(file.lines[above]).hasPrefix("///")
            return documented ? nil : finding(file, line, "\(name) has no documentation")
        }
    }
}
