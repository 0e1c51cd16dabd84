import Gossip
import Model
import NIOCore
import Node
import Paxos
import Replication

/// The values of registers in words, for operators.
enum RegisterWords {
    /// Nobody reads the placement of a hundred thousand partitions: so many are shown.
    private static let placementsMaximum = 64

    /// What a value says; its bytes where nobody here knows what they mean.
    static func fields(of key: String, _ value: ByteBuffer) -> [FieldReport] {
        if key == Roster.key, let roster = try? Roster(decoding: value) {
            return words(roster)
        }
        if PartitionRegister.partition(of: key) != nil,
            let state = try? PartitionState(decoding: value)
        {
            return words(state)
        }
        if AdmissionRecord.node(ofRegister: key) != nil,
            let record = try? AdmissionRecord(decoding: value)
        {
            return words(record)
        }
        if key.hasPrefix("topic/"), let record = try? TopicRecord(decoding: value) {
            return words(record)
        }
        var begin = value
        let digits = begin.readSlice(length: min(64, value.readableBytes)).map(Hexadecimal.text)
        return [
            FieldReport(name: "bytes", value: "\(value.readableBytes)"),
            FieldReport(name: "begin", value: digits ?? ""),
        ]
    }

    private static func words(_ roster: Roster) -> [FieldReport] {
        var fields = [
            FieldReport(name: "generation", value: "\(roster.generation.rawValue)"),
            FieldReport(name: "voters", value: list(roster.voters.map(\.node))),
        ]
        if let next = roster.next {
            fields.append(FieldReport(name: "next", value: list(next.map(\.node))))
        }
        if roster.floor > .zero {
            fields.append(
                FieldReport(
                    name: "floor",
                    value: "(\(roster.floor.counter), \(roster.floor.proposer.rawValue))"))
        }
        return fields + [FieldReport(name: "cluster", value: roster.cluster)]
    }

    private static func words(_ state: PartitionState) -> [FieldReport] {
        var fields = [
            FieldReport(
                name: "leader", value: state.leader.map { "\($0.rawValue)" } ?? "none"),
            FieldReport(name: "leaderEpoch", value: "\(state.leaderEpoch.rawValue)"),
            FieldReport(name: "partitionEpoch", value: "\(state.partitionEpoch.rawValue)"),
            FieldReport(name: "replicas", value: list(state.replicas)),
            FieldReport(name: "inSync", value: list(state.inSync)),
        ]
        if !state.adding.isEmpty {
            fields.append(FieldReport(name: "adding", value: list(state.adding)))
        }
        if !state.removing.isEmpty {
            fields.append(FieldReport(name: "removing", value: list(state.removing)))
        }
        if !state.lastEligible.isEmpty {
            fields.append(FieldReport(name: "lastEligible", value: list(state.lastEligible)))
        }
        if let deposed = state.deposed {
            let manner =
                switch state.consent {
                case .served: "by its own consent, after it had served"
                case .stopped: "by its own consent"
                case nil: "without its consent"
                }
            fields.append(FieldReport(name: "deposed", value: "\(text(deposed)), \(manner)"))
        }
        if state.isUnclean {
            fields.append(FieldReport(name: "unclean", value: "an operator elected the leader"))
        }
        return fields
    }

    private static func words(_ record: AdmissionRecord) -> [FieldReport] {
        [
            FieldReport(name: "node", value: "\(record.node.rawValue)"),
            FieldReport(name: "admission", value: "\(record.number.rawValue)"),
            FieldReport(name: "store", value: Inspector.text(record.store)),
            FieldReport(name: "key", value: Inspector.text(record.key)),
            FieldReport(name: "revoked", value: record.isRevoked ? "yes" : "no"),
        ]
    }

    private static func words(_ record: TopicRecord) -> [FieldReport] {
        var fields = [
            FieldReport(
                name: "id", value: Inspector.text(record.id.high) + Inspector.text(record.id.low)),
            FieldReport(name: "partitions", value: "\(record.partitions)"),
            FieldReport(
                name: "copies", value: record.copies == -1 ? "up to 3" : "\(record.copies)"),
        ]
        if let deletion = record.deletion {
            fields.append(FieldReport(name: "deleted", value: "its leaders are to stop"))
            if !deletion.unheard.isEmpty {
                fields.append(FieldReport(name: "unheard", value: list(deletion.unheard)))
            }
        }
        for (name, value) in record.overrides.sorted(by: { $0.key < $1.key }) {
            fields.append(FieldReport(name: name, value: value))
        }
        for (index, set) in record.placement.prefix(placementsMaximum).enumerated() {
            fields.append(FieldReport(name: "placed \(index)", value: list(set)))
        }
        return fields
    }

    private static func list(_ nodes: [NodeID]) -> String {
        nodes.map { "\($0.rawValue)" }.joined(separator: ", ")
    }

    private static func list(_ copies: [ReplicaID]) -> String {
        copies.map(text).joined(separator: ", ")
    }

    /// A copy as registers name it: node, admission and log epoch.
    static func text(_ copy: ReplicaID) -> String {
        "\(copy.node.rawValue) (admission \(copy.admission.rawValue), log epoch "
            + "\(copy.logEpoch.rawValue))"
    }
}
