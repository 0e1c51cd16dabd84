public import Gossip
public import Model
import NIOCore
public import Paxos

/// How the mesh's memory lies in the broker's durable tables.
///
///     chosen     KEY                 ballot u64 i32 u64, length i32 (-1: tombstone), value
///     registers  i, r, f             identity, roster, floor of the acceptor
///                p/KEY, a/KEY        the last promise and the last accepted value of a register
///     table      member/<node id>    what this broker last knew of a member
///
/// Versions ascend with each write of a file, so that sorting by them gives back the order in
/// which an acceptor wrote: a promise and an acceptance of one register must be replayed in turn.
public enum MeshRecords {
    static let memberPrefix = "member/"

    // MARK: Chosen values

    public static func change(_ value: ChosenValue, version: UInt64) -> TableChange {
        var bytes = ByteBuffer()
        value.writeBody(into: &bytes)
        return TableChange(key: value.key, version: version, value: bytes)
    }

    /// Nil where the bytes are no chosen value: whoever wrote them was not this program.
    public static func chosen(_ entry: TableChange) -> ChosenValue? {
        guard var bytes = entry.value else { return nil }
        return ChosenValue(key: entry.key, readingBodyFrom: &bytes)
    }

    // MARK: Members

    static func change(_ member: PersistedMember, version: UInt64) -> TableChange {
        TableChange(
            key: memberPrefix + String(member.record.node.rawValue), version: version,
            value: member.encoded())
    }

    public static func member(_ entry: TableChange) -> PersistedMember? {
        guard entry.key.hasPrefix(memberPrefix), let value = entry.value else { return nil }
        return try? PersistedMember(decoding: value)
    }

    // MARK: Acceptor

    static func changes(_ record: AcceptorRecord, version: UInt64) -> [TableChange] {
        func put(_ key: String) -> TableChange {
            var bytes = ByteBuffer()
            record.encode(into: &bytes)
            return TableChange(key: key, version: version, value: bytes)
        }
        switch record {
        case .identity: return [put("i")]
        case .roster: return [put("r")]
        case .floor: return [put("f")]
        case .promise(let key, _): return [put("p/" + key)]
        case .accept(let key, _, _): return [put("a/" + key)]
        case .remove(let key):
            return ["p/", "a/"].map {
                TableChange(key: $0 + key, version: version, value: nil)
            }
        }
    }

    /// The acceptor's log as it was written, or nil where an entry is damaged.
    public static func acceptorLog(_ entries: [TableChange]) -> [AcceptorRecord]? {
        var log: [AcceptorRecord] = []
        // The identity was written first of all.
        let ordered = entries.sorted {
            ($0.key != "i" ? 1 : 0, $0.version, $0.key) < (
                $1.key != "i" ? 1 : 0, $1.version, $1.key
            )
        }
        for entry in ordered {
            guard let value = entry.value, let record = try? AcceptorRecord(decoding: value) else {
                return nil
            }
            log.append(record)
        }
        return log
    }
}
