import ArgumentParser
import Broker

/// Where the group commands show a broker's own copy of the groups' positions.
struct CopyOptions: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Show what one broker knows without asking anybody: its copy of what the coordinators "
                + "told the mesh, and how old that is."))
    var local = false

    @OptionGroup var admin: AdminOptions
}

/// Groups as one broker's copy has them.
enum GroupCopies {
    /// What a broker's copy says of groups, as `-o json` prints it.
    struct Listing: Encodable {
        /// Which broker's copy it is.
        var broker: Int32
        var source = "copy"
        var groups: [GroupCopyReport]
    }

    static func ask(_ admin: AdminOptions, group: String? = nil) async throws -> Listing {
        let answer = try await admin.askOne(InspectionQuestion(.groups, key: group))
        return Listing(broker: answer.nodeId, groups: answer.groups ?? [])
    }

    static func describe(_ names: [String], _ admin: AdminOptions) async throws -> Listing {
        var all: Listing?
        for name in names {
            let found = try await ask(admin, group: name)
            guard !found.groups.isEmpty else {
                throw CommandFailure(
                    "broker \(found.broker) has no copy of a group \(name): it has committed "
                        + "nothing, or that has not come here yet. See: gossamer group list --local"
                )
            }
            if all == nil { all = found } else { all?.groups += found.groups }
        }
        return all ?? Listing(broker: -1, groups: [])
    }

    static func age(_ milliseconds: Int64?) -> String {
        milliseconds.map { Durations.milliseconds($0) + " ago" } ?? "never"
    }

    static func text(_ group: GroupCopyReport, of broker: Int32) -> String {
        var table = TextTable(
            ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "END-AGE"],
            numbers: [2, 3, 4, 5])
        for row in group.partitions {
            table.append([
                group.group, row.topic, "\(row.partition)", "\(row.currentOffset)",
                row.logEndOffset.map(String.init) ?? "-", row.lag.map(String.init) ?? "-",
                row.endAgeMilliseconds.map(Durations.milliseconds) ?? "-",
            ])
        }
        let head =
            "group \(group.group): lag \(group.lag), as broker \(broker) has it from coordinator "
            + "\(group.coordinator.map(String.init) ?? "-") \(age(group.ageMilliseconds))"
            + (group.isPartial ? ", with positions missing" : "")
        return head + "\n" + table.text
    }

    static func table(_ groups: [GroupCopyReport]) -> TextTable {
        var table = TextTable(
            ["GROUP", "COORDINATOR", "PARTITIONS", "LAG", "AGE"], numbers: [1, 2, 3])
        for group in groups {
            table.append([
                group.group, group.coordinator.map(String.init) ?? "-",
                "\(group.partitions.count)", "\(group.lag)",
                group.ageMilliseconds.map(Durations.milliseconds) ?? "-",
            ])
        }
        return table
    }
}
