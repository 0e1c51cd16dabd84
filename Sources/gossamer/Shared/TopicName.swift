/// The rules for the names of topics, checked before a broker is asked.
enum TopicName {
    /// Throws unless Kafka would take the name: 1 to 249 of letters, digits, dot, dash, underscore.
    static func check(_ name: String) throws(UsageError) {
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isPlain, !name.isEmpty, name.utf8.count <= TopicRules.maximumNameBytes,
            name != ".", name != ".."
        else {
            throw UsageError(
                "topic name '\(TextTable.printable(name))': expected 1 to "
                    + "\(TopicRules.maximumNameBytes) letters, digits, '.', '_' or '-'")
        }
    }

    /// Reads `KEY=VALUE` pairs of topic and broker configs.
    static func configs(_ pairs: [String], flag: String) throws(UsageError) -> [(String, String)] {
        var result: [(String, String)] = []
        for pair in pairs {
            guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
                throw UsageError(
                    "\(flag) \(pair): expected KEY=VALUE, for example retention.ms=86400000")
            }
            let key = String(pair[..<equals])
            guard !result.contains(where: { $0.0 == key }) else {
                throw UsageError("\(flag) \(pair): \(key) is given twice")
            }
            result.append((key, String(pair[pair.index(after: equals)...])))
        }
        return result
    }
}
