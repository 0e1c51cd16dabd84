/// Finds the keys of a YAML mapping and their lines: block style by indentation, flow style by
/// braces, comments and quotes respected.
///
/// Not a YAML parser: the values are read by one. It knows what a configuration of nested mappings,
/// scalars and lists of scalars is made of, and takes any other line for the continuation of a
/// value.
struct YAMLKeys {
    /// A key as a dotted path, where it stands, and whether a value (not a mapping) follows it.
    struct Key: Equatable {
        var path: String
        var line: Int
        var isLeaf: Bool
    }

    private var text: [Character]
    private var position = 0
    private var line = 1
    private var open: [(indent: Int, name: String, index: Int)] = []
    private var keys: [Key] = []

    static func scan(_ text: String) -> [Key] {
        var scanner = YAMLKeys(text: Array(text.replacing("\r\n", with: "\n")))
        while scanner.position < scanner.text.count { scanner.scanLine() }
        return scanner.keys
    }

    /// Whether the text holds nothing but blanks, comments and document marks.
    static func isBlank(_ text: String) -> Bool {
        text.split(whereSeparator: \.isNewline).allSatisfy { line in
            let body = line.drop { $0 == " " || $0 == "\t" }
            return body.isEmpty || body.hasPrefix("#") || body == "---" || body == "..."
        }
    }

    private init(text: [Character]) { self.text = text }

    private var current: Character? { position < text.count ? text[position] : nil }

    private mutating func scanLine() {
        let start = position
        skipBlanks()
        let indent = position - start
        if current == nil || current == "\n" || current == "#" || current == "-" {
            skipLine()
            return
        }
        if current == "{", open.isEmpty {
            scanFlow(prefix: "")
            skipLine()
            return
        }
        guard let name = scanKey() else {
            skipLine()
            return
        }
        while let last = open.last, last.indent >= indent { open.removeLast() }
        if let parent = open.last { keys[parent.index].isLeaf = false }
        let path = (open.map(\.name) + [name]).joined(separator: ".")
        keys.append(Key(path: path, line: line, isLeaf: true))
        skipBlanks()
        switch current {
        case nil, "\n", "#":
            open.append((indent, name, keys.count - 1))
        case "{":
            keys[keys.count - 1].isLeaf = false
            scanFlow(prefix: path)
        case "[":
            skipFlowList()
        default:
            break
        }
        skipLine()
    }

    /// Reads `name:` and stops behind the colon; nil (at an unspecified place of the line) if the
    /// line has none.
    private mutating func scanKey() -> String? {
        var name = ""
        if let quote = current, quote == "\"" || quote == "'" {
            name = scanQuoted(quote)
            skipBlanks()
            guard current == ":" else { return nil }
            position += 1
            return name
        }
        while let character = current, character != "\n" {
            if character == ":" {
                let next = position + 1 < text.count ? text[position + 1] : "\n"
                if next == " " || next == "\n" || next == "\t" || next == "{" || next == "[" {
                    position += 1
                    return name.trimmingSuffix { $0 == " " }
                }
            }
            if "{}[],#".contains(character) { return nil }
            name.append(character)
            position += 1
        }
        return nil
    }

    private mutating func scanQuoted(_ quote: Character) -> String {
        var result = ""
        position += 1
        while let character = current {
            position += 1
            if character == quote { break }
            if character == "\n" { line += 1 }
            if character == "\\", quote == "\"", let escaped = current {
                result.append(escaped)
                position += 1
            } else {
                result.append(character)
            }
        }
        return result
    }

    /// Reads a flow mapping whose `{` is the current character, through its `}`.
    private mutating func scanFlow(prefix: String) {
        position += 1
        while let character = current {
            switch character {
            case "}":
                position += 1
                return
            case " ", "\t", ",", "\n":
                if character == "\n" { line += 1 }
                position += 1
            case "#":
                skipComment()
            default:
                scanFlowEntry(prefix: prefix)
            }
        }
    }

    private mutating func scanFlowEntry(prefix: String) {
        let start = position
        let at = line
        guard let name = scanKey() else {
            if position == start { position += 1 }
            return
        }
        let path = prefix.isEmpty ? name : "\(prefix).\(name)"
        skipBlanks()
        let isMapping = current == "{"
        keys.append(Key(path: path, line: at, isLeaf: !isMapping))
        if isMapping {
            scanFlow(prefix: path)
        } else if current == "[" {
            skipFlowList()
        } else if let quote = current, quote == "\"" || quote == "'" {
            _ = scanQuoted(quote)
        } else {
            while let character = current, character != ",", character != "}", character != "\n" {
                position += 1
            }
        }
    }

    private mutating func skipFlowList() {
        var depth = 0
        while let character = current {
            switch character {
            case "[": depth += 1
            case "]": depth -= 1
            case "\n": line += 1
            case "\"", "'":
                _ = scanQuoted(character)
                continue
            case "#":
                skipComment()
                continue
            default: break
            }
            position += 1
            if depth == 0 { return }
        }
    }

    private mutating func skipBlanks() {
        while current == " " || current == "\t" { position += 1 }
    }

    private mutating func skipComment() {
        while let character = current, character != "\n" { position += 1 }
    }

    private mutating func skipLine() {
        skipComment()
        if current == "\n" {
            line += 1
            position += 1
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> String {
        var result = self
        while let last = result.last, predicate(last) { result.removeLast() }
        return result
    }
}
