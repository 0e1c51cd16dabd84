import Configuration
import Foundation

/// A configuration file in YAML: its values, and on which line each key stands.
///
/// The values come from swift-configuration's snapshot; the keys and lines from a scan of the text,
/// since the snapshot does not list its keys and a misspelt key must not be ignored.
struct ConfigurationFile: Sendable {
    let path: String
    private let snapshot: YAMLSnapshot?
    private let lines: [String: Int]

    /// Largest file that is read: far above any real one, and it keeps `--config /dev/zero` sane.
    private static let maximumBytes = 1_048_576

    init(path: String) throws(UsageError) {
        guard let handle = FileHandle(forReadingAtPath: path),
            let data = try? handle.read(upToCount: Self.maximumBytes + 1) ?? Data()
        else {
            throw UsageError("--config \(path): cannot be read (\(SystemError.last))")
        }
        guard data.count <= Self.maximumBytes else {
            throw UsageError("--config \(path): larger than \(Self.maximumBytes) bytes")
        }
        try self.init(path: path, text: String(decoding: data, as: UTF8.self))
    }

    init(path: String, text: String) throws(UsageError) {
        self.path = path
        let keys = YAMLKeys.scan(text)
        lines = Dictionary(keys.map { ($0.path, $0.line) }, uniquingKeysWith: { first, _ in first })
        if YAMLKeys.isBlank(text) {
            snapshot = nil
            return
        }
        do {
            let bytes = Array(text.utf8)
            snapshot = unsafe try YAMLSnapshot(
                data: bytes.span.bytes, providerName: path, parsingOptions: .default)
        } catch {
            throw UsageError("\(path): not a YAML mapping: \(error)")
        }
        try Self.refuseUnknown(keys, path: path)
    }

    /// The value of a key; an empty one counts as absent.
    func value(of setting: Setting) throws(UsageError) -> SettingValue? {
        guard let snapshot else { return nil }
        let key = AbsoluteConfigKey(ConfigKey(setting.key))
        if let content = try? snapshot.value(forKey: key, type: .stringArray).value?.content,
            case .stringArray(let words) = content
        {
            return .list(words)
        }
        if let content = try? snapshot.value(forKey: key, type: .string).value?.content,
            case .string(let word) = content, !word.isEmpty
        {
            return .text(word)
        }
        return nil
    }

    /// `PATH:LINE: KEY`, the name of a place in this file.
    func place(of key: String) -> String {
        guard let line = lines[key] else { return "\(path): \(key)" }
        return "\(path):\(line): \(key)"
    }

    private static func refuseUnknown(
        _ keys: [YAMLKeys.Key], path: String
    ) throws(UsageError) {
        let known = Setting.all.map(\.key)
        for key in keys {
            let isSection = known.contains { $0.hasPrefix(key.path + ".") }
            if key.isLeaf ? known.contains(key.path) : isSection { continue }
            let place = "\(path):\(key.line): \(key.path)"
            if isSection {
                throw UsageError("\(place): expected keys below it, as in `\(key.path): { .. }`")
            }
            if known.contains(key.path) {
                throw UsageError("\(place): expected a value and not keys below it")
            }
            let leaf = key.path.split(separator: ".").last.map(String.init) ?? key.path
            let near =
                NearestWord.of(key.path, in: known)
                ?? known.first { $0.hasSuffix("." + leaf) || $0 == leaf }
            let hint = near.map { "Did you mean \($0)?" }
            throw UsageError(
                "\(place): unknown key. \(hint ?? "Known keys: \(known.joined(separator: ", "))")")
        }
    }
}

/// The text of the last failed system call.
enum SystemError {
    static var last: String { text(errno) }

    static func text(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}
