/// Backslash escapes as shells pass them through: `\n`, `\t`, `\r`, `\0`, `\\`, `\xHH`.
enum Escapes {
    /// Replaces the escapes of a text; an unknown one stays as it is.
    static func resolve(_ text: String) -> String {
        String(decoding: bytes(text), as: UTF8.self)
    }

    static func bytes(_ text: String) -> [UInt8] {
        var result: [UInt8] = []
        var rest = ArraySlice(text.utf8)
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let code = rest.popFirst() else {
                result.append(byte)
                continue
            }
            switch code {
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "0"): result.append(0)
            case UInt8(ascii: "\\"): result.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "x"):
                let digits = String(decoding: rest.prefix(2), as: UTF8.self)
                if digits.count == 2, let value = UInt8(digits, radix: 16) {
                    result.append(value)
                    rest = rest.dropFirst(2)
                } else {
                    result += [byte, code]
                }
            default:
                result += [byte, code]
            }
        }
        return result
    }
}
