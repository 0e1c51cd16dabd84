import Model
import NIOCore
import Node
import Sodium
import Storage

/// A data directory that this process has locked, and the store in it: step one of a start.
///
/// The directory may be blank still: who the broker is in which cluster may have to be asked of
/// others first, and they want to know this store and this boot. The boot epoch is raised durably
/// here, before anything is sent; peers refuse one that they have seen, which finds cloned and
/// rolled-back disks.
final class StoreOpening: Sendable {
    let root: String
    let disk: any Disk
    /// This broker's own records.
    let table: TableFile
    let storeID: StoreID
    let bootEpoch: BootEpoch
    /// Whether no cluster is known in it yet.
    let isBlank: Bool
    private let seed: SecretBytes
    private let lock: DirectoryLock

    private static let storeKey = "store-id"
    private static let bootKey = "boot-epoch"
    private static let keyFile = "keys/identity"

    init(root: String) throws(BrokerStartError) {
        self.root = root
        do throws(DataDirectoryError) {
            lock = try DirectoryLock(root: root, owner: "gossamer serve, since \(Self.timeOfDay())")
        } catch {
            throw .dataDirectory(Self.explain(error, root))
        }
        disk = PosixDisk(root: root)
        isBlank = DataDirectory.isBlank(disk)
        do throws(DiskError) {
            try disk.makeDirectory("logs")
            try disk.makeDirectory("keys")
        } catch {
            throw .dataDirectory("\(root) can't be used: \(error)")
        }
        do throws(TableError) {
            table = try TableFile(disk: disk, directory: "", name: "table")
        } catch {
            throw .dataDirectory("\(root)/table: \(error). The broker does not guess what it held")
        }
        seed = try Self.identitySeed(root)
        let (store, boot) = Self.remembered(table)
        storeID = store
        bootEpoch = boot
        try Self.remember(store, boot, in: table, root)
    }

    /// Has the next start leave out the boot that would follow.
    var skippedBoot: TableChange {
        let skipped = bootEpoch.rawValue + 1
        return TableChange(
            key: Self.bootKey, version: skipped, value: ByteBuffer(integer: skipped))
    }

    /// A key for one more owner in this process.
    func signingKey() -> SigningKey {
        var bytes = ByteBuffer()
        seed.write(into: &bytes)
        guard let key = SigningKey(keyFile: bytes) else {
            preconditionFailure("the seed was checked when it was read")
        }
        return key
    }

    private static func identitySeed(_ root: String) throws(BrokerStartError) -> SecretBytes {
        let path = "\(root)/\(keyFile)"
        do throws(SecretFile.Failure) {
            if let text = try SecretFile.read(path) {
                guard let bytes = Hexadecimal.bytes(of: text), bytes.readableBytes == 32,
                    let seed = SecretBytes(copying: bytes, guarded: true)
                else {
                    throw SecretFile.Failure(
                        description: "\(path) is no identity key: restore it from a copy. Without "
                            + "it this broker can't prove who it is")
                }
                return seed
            }
            let seed = SecretBytes(randomCount: 32, guarded: true)
            var bytes = ByteBuffer()
            seed.write(into: &bytes)
            try SecretFile.write(Hexadecimal.text(of: bytes) + "\n", to: path)
            return seed
        } catch {
            throw .dataDirectory("\(error)")
        }
    }

    /// The store and the boot that begins now.
    private static func remembered(_ table: TableFile) -> (StoreID, BootEpoch) {
        var store = StoreID(high: Libsodium.randomWord(), low: Libsodium.randomWord())
        if var bytes = table.entry(for: storeKey)?.value, let high: UInt64 = bytes.readInteger(),
            let low: UInt64 = bytes.readInteger()
        {
            store = StoreID(high: high, low: low)
        }
        var bytes = table.entry(for: bootKey)?.value ?? ByteBuffer(integer: UInt64(0))
        return (store, BootEpoch((bytes.readInteger(as: UInt64.self) ?? 0) + 1))
    }

    private static func remember(
        _ store: StoreID, _ boot: BootEpoch, in table: TableFile, _ root: String
    ) throws(BrokerStartError) {
        var bytes = ByteBuffer(integer: store.high)
        bytes.writeInteger(store.low)
        do throws(TableError) {
            try table.put([
                TableFile.Change(key: storeKey, version: 1, value: bytes),
                TableFile.Change(
                    key: bootKey, version: boot.rawValue,
                    value: ByteBuffer(integer: boot.rawValue)),
            ])
        } catch {
            throw .dataDirectory("\(root)/table can't be written: \(error)")
        }
    }

    static func explain(_ error: DataDirectoryError, _ root: String) -> String {
        switch error {
        case .locked(let owner):
            "data directory \(root) is in use by \(owner). Stop it, or choose --data-dir"
        case .disk(let reason): "data directory \(root) can't be used: \(reason)"
        case .unsupportedFormat(let format):
            "data directory \(root) has format \(format), written by a newer gossamer: upgrade"
        case .corruptIdentity:
            "data directory \(root): its identity file is damaged. Restore it from a copy"
        }
    }

    /// HH:MM in UTC, for the note in the lock.
    private static func timeOfDay() -> String {
        let minutes = Clock.now().wall.milliseconds / 60_000 % 1_440
        let hour = minutes / 60
        let minute = minutes % 60
        return "\(hour < 10 ? "0" : "")\(hour):\(minute < 10 ? "0" : "")\(minute) UTC"
    }
}

/// Bytes as text for key files: lower case, two digits a byte.
enum Hexadecimal {
    static func text(of bytes: ByteBuffer) -> String {
        var text = ""
        for byte in bytes.readableBytesView {
            text += byte < 16 ? "0" : ""
            text += String(byte, radix: 16)
        }
        return text
    }

    /// Nil where the text, less blanks and line ends around it, is not hexadecimal.
    static func bytes(of text: String) -> ByteBuffer? {
        let digits = Array(text.utf8).filter {
            $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09
        }
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes = ByteBuffer()
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index..<index + 2], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.writeInteger(byte)
        }
        return bytes
    }
}
