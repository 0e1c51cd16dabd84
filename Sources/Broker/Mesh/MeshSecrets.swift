import Model
import NIOCore
import Sodium
import Transport

/// The file with the admission secret: who has it may ask to be let in.
///
///     # comments and empty lines are skipped
///     64 hexadecimal digits     the secret that is shown and taken
///     64 hexadecimal digits     the one before it, which is still taken
public enum MeshSecrets {
    private static let head =
        "# admission secret of a gossamer mesh: whoever has it can join. Keep it like a password.\n"

    /// A new file with one fresh secret.
    public static func mint() -> String {
        head + fresh() + "\n"
    }

    /// The file with a fresh secret in front of the one that was shown until now.
    public static func rotated(_ text: String) -> String? {
        let secrets = secrets(in: text)
        guard let last = secrets.first else { return nil }
        return
            "# admission secrets of a gossamer mesh: the first is shown, the second still taken.\n"
            + fresh() + "\n" + last + "\n"
    }

    /// The file without the secret that was shown before; nil where it holds one only.
    public static func withoutPrevious(_ text: String) -> String? {
        let secrets = secrets(in: text)
        guard secrets.count == 2 else { return nil }
        return
            head + secrets[0] + "\n"
    }

    private static func fresh() -> String {
        let secret = SecretBytes(randomCount: 32)
        var bytes = ByteBuffer()
        secret.write(into: &bytes)
        return Hexadecimal.text(of: bytes)
    }

    private static func secrets(in text: String) -> [String] {
        text.split(separator: "\n").map { line in
            String(line.filter { $0 != " " && $0 != "\r" && $0 != "\t" })
        }.filter { !$0.isEmpty && !$0.hasPrefix("#") }
    }

    /// What operators call the secrets of a file: the first digits of each one's hash, which says
    /// nothing about it.
    static func names(_ path: String?) throws(SecretFile.Failure) -> [String] {
        guard let path, let text = try SecretFile.read(path) else { return [] }
        return names(in: text)
    }

    /// What operators call the secrets of a text, the one that is shown first.
    public static func names(in text: String) -> [String] {
        secrets(in: text).map { secret in
            var hasher = GenericHasher()
            hasher.update(ByteBuffer(string: "gossamer secret name 1 " + secret))
            return Inspector.text(hasher.finish().words.a)
        }
    }

    /// Reads the ring from its file; an empty one where no file is named.
    static func ring(_ path: String?) throws(SecretFile.Failure) -> AdmissionSecrets {
        guard let path else { return AdmissionSecrets() }
        guard let text = try SecretFile.read(path) else {
            throw SecretFile.Failure(
                description: "\(path): no such file. `gossamer cluster init --secret-file \(path)` "
                    + "makes one for a new mesh; to join a mesh, copy the file of that mesh")
        }
        let secrets = secrets(in: text)
        let decoded = secrets.compactMap { Hexadecimal.bytes(of: $0) }
        guard (1...2).contains(secrets.count), decoded.count == secrets.count,
            decoded.allSatisfy({ $0.readableBytes == 32 }),
            let ring = AdmissionSecrets(
                current: decoded[0], previous: decoded.count > 1 ? decoded[1] : nil)
        else {
            throw SecretFile.Failure(
                description: "\(path): expected one or two lines of 64 hexadecimal digits, as "
                    + "`gossamer cluster init` writes them")
        }
        return ring
    }
}
