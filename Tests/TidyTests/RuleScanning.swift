/// How the rules find declarations and words in code without comments and strings.
extension Rules {
    static let importModifiers: Set<String> = [
        "public", "package", "internal", "private", "fileprivate", "@testable", "@preconcurrency",
        "@_exported", "@_spi", "@_implementationOnly",
    ]

    static let impureModules: Set<String> = [
        "Logging", "Glibc", "Dispatch", "Musl", "Darwin",
    ]

    /// Whatever reads a clock, draws entropy or touches an event loop.
    static let impureWords = [
        "Channel", "EventLoop", "EventLoopFuture", "EventLoopPromise", "Date", "ContinuousClock",
        "SuspendingClock", "SystemRandomNumberGenerator", "UUID", "Task", "shuffled()", "random()",
        "randomElement()", "NIOFileHandle", "FileRegion", "Logger",
    ]

    static func trimmed(_ line: String) -> Substring {
        line.drop { $0 == " " }
    }

    private static func isWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_"
    }

    /// Words are found whole: `Date` is not found in `Dates`.
    static func occurrences(of words: [String], in file: SourceFile) -> [String] {
        file.code.indices.flatMap { line in
            words.filter { contains($0, in: file.code[line]) }
                .map { "\(file.path):\(line + 1): \($0)" }
        }
    }

    static func contains(_ word: String, in line: String) -> Bool {
        var rest = line[...]
        while let found = rest.firstRange(of: word) {
            let before =
                found.lowerBound > line.startIndex
                ? line[line.index(before: found.lowerBound)] : " "
            let after = found.upperBound < line.endIndex ? line[found.upperBound] : " "
            let startsWhole = !isWord(before) || !(word.first.map(isWord) ?? false)
            let endsWhole = !isWord(after) || !(word.last.map(isWord) ?? false)
            if startsWhole && endsWhole { return true }
            rest = rest[found.upperBound...]
        }
        return false
    }

    static func declaresFunction(_ line: String) -> Bool {
        let text = trimmed(line)
        if text.contains("func ") {
            return contains("func", in: String(text))
        }
        return text.hasPrefix("deinit") || contains("subscript", in: String(text))
            || (contains("init", in: String(text)) && !text.contains(".init")
                && text.firstRange(of: "init").map { isDeclaration(text[..<$0.lowerBound]) }
                    ?? false)
    }

    /// Whether what stands before `init` is only modifiers, as in a declaration.
    private static func isDeclaration(_ prefix: Substring) -> Bool {
        let modifiers: Set<Substring> = [
            "public", "package", "internal", "private", "fileprivate", "convenience", "required",
            "override", "nonisolated", "@inlinable", "@inline(__always)", "unsafe", "@unsafe",
        ]
        return prefix.split(separator: " ").allSatisfy { modifiers.contains($0) }
    }

    /// The line of the brace that closes the first one opened from `start` on; nil where a
    /// declaration without a body comes first.
    static func lastLine(ofBodyFrom start: Int, in code: [String]) -> Int? {
        var braces = 0
        var parentheses = 0
        for line in start..<code.count {
            for character in code[line] {
                switch character {
                case "(": parentheses += 1
                case ")": parentheses -= 1
                case "{" where parentheses == 0 || braces > 0: braces += 1
                case "}" where braces > 0:
                    braces -= 1
                    if braces == 0 { return line }
                case "}" where parentheses == 0: return nil
                default: break
                }
            }
            let isOpen = braces > 0 || parentheses > 0
            if !isOpen, line + 1 < code.count, !continues(code[line], code[line + 1]) { return nil }
        }
        return nil
    }

    /// Whether a declaration goes on in the next line, before its body.
    private static func continues(_ line: String, _ next: String) -> Bool {
        let text = trimmed(next)
        return ["{", "where", "throws", "->", "async", ")", "rethrows"].contains {
            text.hasPrefix($0)
        } || line.hasSuffix(",") || line.hasSuffix("->") || line.hasSuffix("where")
            || line.hasSuffix(">")
    }

    /// The name of the type that a line declares.
    static func declaredType(_ line: String) -> String? {
        let words = line.split(separator: " ")
        let kinds: Set<Substring> = ["struct", "enum", "class", "protocol", "actor"]
        guard let kind = words.firstIndex(where: { kinds.contains($0) }), kind + 1 < words.count
        else { return nil }
        let modifiers: Set<Substring> = [
            "public", "package", "internal", "private", "fileprivate", "final", "indirect", "open",
        ]
        guard words[..<kind].allSatisfy({ modifiers.contains($0) || $0.hasPrefix("@") }) else {
            return nil
        }
        let name = words[kind + 1].prefix { isWord($0) }
        return name.isEmpty || name == "func" || name == "var" ? nil : String(name)
    }
}
