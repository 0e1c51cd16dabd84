/// The rule for topic names, checked before a name reaches any table, file or register.
///
/// Kafka's: 1 to 249 of `[a-zA-Z0-9._-]`, neither `.` nor `..`.
public enum TopicName {
    /// Kafka's bound: with a partition's number behind it, such a name fits a file system.
    public static let lengthMaximum = 249

    /// The topic that holds committed offsets and group states; one partition of it is a slot.
    public static let consumerOffsets = "__consumer_offsets"

    /// What is wrong with `name`, in words; nil where it is a legal name.
    public static func refusal(of name: String) -> String? {
        if name.isEmpty { return "a topic name can't be empty" }
        if name == "." || name == ".." { return "a topic name can't be \".\" or \"..\"" }
        if name.utf8.count > lengthMaximum {
            return
                "a topic name has at most \(lengthMaximum) characters, this has \(name.utf8.count)"
        }
        guard name.utf8.allSatisfy(isLegal) else {
            return "a topic name consists of a-z, A-Z, 0-9, '.', '_' and '-'"
        }
        return nil
    }

    private static func isLegal(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// Kafka refuses two names that its metrics could not tell apart: '.' and '_' are one there.
    public static func collisionKey(of name: String) -> String {
        name.contains(".") ? String(name.map { $0 == "." ? "_" : $0 }) : name
    }
}
