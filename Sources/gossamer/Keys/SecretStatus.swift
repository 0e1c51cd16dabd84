import Broker

/// Which broker shows and takes which admission secret, and whether the old one may go.
struct SecretStatus {
    /// One broker.
    struct Row: Encodable, Equatable {
        let nodeId: Int32
        /// The secret that it shows; nil where it was given none.
        let shows: String?
        /// Others that it takes.
        let takes: [String]
        /// How often each was needed by joiners and command lines since its start.
        let needed: [String: UInt64]
        /// How long ago the one that is replaced was last needed there.
        let oldNeededMilliseconds: Int64?
    }

    /// Whether the previous secret can be dropped.
    struct Verdict: Encodable, Equatable {
        /// Nil where there is none to drop.
        let isSafe: Bool?
        let sentence: String
    }

    let rows: [Row]
    /// The secret that the broker which is asked shows.
    let current: String?
    let previous: String?
    let silent: [Int32]
    /// Members that are admitted and were not asked, because nobody holds them for present.
    let absent: [Int32]

    /// How long nobody may have needed the old secret.
    private static let quietMilliseconds: Int64 = 10 * 60_000

    /// `reference` is the broker whose file is looked at.
    init(_ answers: InspectionAnswers, reference: Int32) {
        let reports = answers.answers.compactMap { answer in
            answer.keys.map { (node: answer.nodeId, keys: $0) }
        }
        let own = reports.first { $0.node == reference }?.keys.secrets ?? []
        current = own.first
        previous = own.count > 1 ? own[1] : nil
        let old = previous
        rows = reports.map { report in
            Row(
                nodeId: report.node, shows: report.keys.secrets.first,
                takes: Array(report.keys.secrets.dropFirst()),
                needed: Dictionary(
                    report.keys.uses.map { ($0.name, $0.joins + $0.operators) },
                    uniquingKeysWith: { first, _ in first }),
                oldNeededMilliseconds: report.keys.uses.first { $0.name == old }?
                    .neededMilliseconds)
        }.sorted { $0.nodeId < $1.nodeId }
        silent = answers.silent.sorted()
        let admitted = reports.flatMap { report in
            report.keys.admissions.filter { !$0.isRevoked }.map(\.nodeId)
        }
        absent = Set(admitted).subtracting(reports.map(\.node)).subtracting(silent).sorted()
    }

    /// Brokers that show another secret than the one that is asked.
    var behind: [Int32] { rows.filter { $0.shows != current }.map(\.nodeId) }

    var verdict: Verdict {
        guard current != nil else {
            return Verdict(isSafe: nil, sentence: "no admission secret: nobody can join this mesh")
        }
        guard let previous else {
            let tail =
                behind.isEmpty
                ? "" : "; \(NodeList.text(behind)) \(behind.count == 1 ? "shows" : "show") another"
            return Verdict(isSafe: nil, sentence: "one secret, nothing to drop" + tail)
        }
        let name = Self.short(previous)
        if !behind.isEmpty {
            return no(
                "\(NodeList.text(behind)) \(behind.count == 1 ? "shows" : "show") another: copy "
                    + "the file there, then gossamer keys rotate --reload")
        }
        let missing = (silent + absent).sorted()
        if !missing.isEmpty {
            return no(
                "\(NodeList.text(missing)) did not answer and may still have the old file: copy "
                    + "the new one there first (as a member it needs no secret to come back)")
        }
        let needed = rows.compactMap { row in
            row.oldNeededMilliseconds.map { (node: row.nodeId, ago: $0) }
        }.min { $0.ago < $1.ago }
        if let needed, needed.ago < Self.quietMilliseconds {
            return no(
                "somebody joined or asked with it \(Durations.milliseconds(needed.ago)) ago, at "
                    + "\(needed.node): find who has the old file")
        }
        return Verdict(
            isSafe: true,
            sentence: "safe to drop \(name): yes, because all \(rows.count) brokers show the new "
                + "one and nobody needed the old one in the last 10 min")
    }

    private func no(_ reason: String) -> Verdict {
        Verdict(
            isSafe: false,
            sentence: "safe to drop \(Self.short(previous ?? "")): no, because \(reason)")
    }

    // MARK: In words

    var table: TextTable {
        var table = TextTable(["NODE", "SHOWS", "ALSO TAKES", "JOINS AND OPERATORS", ""])
        for row in rows {
            let names = (row.shows.map { [$0] } ?? []) + row.takes
            table.append([
                "\(row.nodeId)", row.shows.map(Self.short) ?? "none",
                row.takes.isEmpty ? "-" : row.takes.map(Self.short).joined(separator: ", "),
                names.map { "\(Self.short($0)): \(row.needed[$0] ?? 0)" }.joined(separator: "  "),
                row.shows == current ? "" : "<- another secret",
            ])
        }
        for node in silent { table.append(["\(node)", "?", "?", "?", "no answer"]) }
        for node in absent { table.append(["\(node)", "?", "?", "?", "not there"]) }
        return table
    }

    /// Enough to tell two apart.
    static func short(_ name: String) -> String { String(name.prefix(8)) }
}
