import Broker

/// How long ago each broker last heard each other one.
struct HeatMap {
    /// One pair.
    struct Cell: Encodable, Equatable {
        let subject: Int32
        let observer: Int32
        let ageMilliseconds: Int64?
        /// Much older than the other ages.
        let isLate: Bool
    }

    let observers: [Int32]
    let subjects: [Int32]
    /// Members that nobody expects to hear, with their state.
    let absent: [Int32: String]
    let cells: [Cell]
    let silent: [Int32]

    /// Ages below this are never late: a few probes.
    private static let lateMinimum: Int64 = 1_500
    /// How much older than the middle of all an age is late.
    private static let lateFactor: Int64 = 5

    init(_ answers: [InspectionAnswer], states: [MemberReport], silent: [Int32]) {
        observers = answers.map(\.nodeId).sorted()
        absent = Dictionary(
            states.filter { $0.state != "alive" && $0.state != "suspect" }
                .map { ($0.nodeId, $0.state) }, uniquingKeysWith: { first, _ in first })
        subjects = Set(observers + states.map(\.nodeId)).sorted()
        self.silent = silent
        let gone = absent
        let ages = answers.flatMap { answer in
            (answer.heat ?? []).filter { gone[$0.nodeId] == nil }.compactMap(\.ageMilliseconds)
        }.sorted()
        let middle = ages.isEmpty ? 0 : ages[ages.count / 2]
        let limit = max(Self.lateMinimum, middle * Self.lateFactor)
        cells = answers.flatMap { answer in
            (answer.heat ?? []).map { heat in
                Cell(
                    subject: heat.nodeId, observer: answer.nodeId,
                    ageMilliseconds: heat.ageMilliseconds,
                    isLate: gone[heat.nodeId] == nil
                        && (heat.ageMilliseconds ?? .max) > limit)
            }
        }
    }

    private func cell(_ subject: Int32, _ observer: Int32) -> Cell? {
        cells.first { $0.subject == subject && $0.observer == observer }
    }

    // MARK: In words

    var table: TextTable {
        let numbers = Set(1..<(observers.count + 1))
        var table = TextTable(["HEARD \\ BY"] + observers.map { "\($0)" } + [""], numbers: numbers)
        for subject in subjects {
            table.append(
                ["\(subject)"] + observers.map { text(cell(subject, $0), isSelf: subject == $0) }
                    + [absent[subject].map { "(\($0))" } ?? ""])
        }
        return table
    }

    private func text(_ cell: Cell?, isSelf: Bool) -> String {
        if isSelf { return "." }
        guard let cell else { return "-" }
        guard let age = cell.ageMilliseconds else { return cell.isLate ? "never!" : "never" }
        let text =
            age < 60_000 ? "\(age / 1_000).\(age % 1_000 / 100)" : Durations.milliseconds(age)
        return text + (cell.isLate ? "!" : "")
    }

    /// Who hears late, who is heard late, and what to look at; one line each.
    var findings: [String] {
        let late = cells.filter(\.isLate)
        guard !late.isEmpty else {
            return silent.isEmpty
                ? [absent.isEmpty ? "all hear each other" : "all that are there hear each other"]
                : ["no answer from \(NodeList.text(silent))"]
        }
        var lines: [String] = []
        var explained: Set<Int32> = []
        for subject in subjects {
            let row = cells.filter { $0.subject == subject }
            let deaf = row.filter(\.isLate).map(\.observer).sorted()
            if deaf.count == row.count, row.count > 1 {
                explained.insert(subject)
                lines.append(
                    "\(subject) is heard late by all (\(NodeList.text(deaf))): it is paused, "
                        + "overloaded, or what it sends is lost: see gossip why \(subject)")
            }
        }
        for observer in observers where !explained.contains(observer) {
            let column = cells.filter {
                $0.observer == observer && absent[$0.subject] == nil
                    && !explained.contains($0.subject)
            }
            let missed = column.filter(\.isLate).map(\.subject).sorted()
            if missed.count == column.count, column.count > 1 {
                explained.insert(observer)
                lines.append(
                    "\(observer) hears late from all (\(NodeList.text(missed))) but is heard: "
                        + "check what reaches it by UDP")
            }
        }
        let pairs = late.filter {
            !explained.contains($0.subject) && !explained.contains($0.observer)
        }
        for pair in pairs.sorted(by: { ($0.observer, $0.subject) < ($1.observer, $1.subject) }) {
            lines.append("\(pair.observer) hears \(pair.subject) late: check the path between them")
        }
        if !silent.isEmpty { lines.append("no answer from \(NodeList.text(silent))") }
        return lines
    }
}
