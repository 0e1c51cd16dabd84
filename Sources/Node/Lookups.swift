import OrderedCollections

/// Requests that wait for a read of topics that this broker has not heard of.
///
/// A value that the control machine drives. One read is under way at a time; what is asked for
/// meanwhile is gathered, each name once, and read together by the next. Nobody joins a read that
/// is under way: it may have passed the voters before the topic was made, and a client that saw it
/// made would hear that it is unknown (design, section 3).
struct Lookups {
    /// Names in one read: ten of the longest lists that a client may ask about, in four messages.
    static let namesMaximum = 1_024

    /// Requests that wait at a time: each holds a client's answer back, and they share the names.
    static let waitingMaximum = 4_096

    /// Who waits for which names.
    struct Waiter {
        let token: UInt64
        let names: [String]
    }

    /// A request that is answered, and whether all its names were settled.
    struct Answer: Equatable {
        let token: UInt64
        let isComplete: Bool
    }

    /// The read that is under way.
    private struct Reading {
        let number: UInt64
        let names: [String]
        let waiters: [Waiter]
    }

    private var gathered: OrderedSet<String> = []
    private var waiters: [Waiter] = []
    private var reading: Reading?

    /// Takes a request in; false where there are too many already.
    mutating func add(_ token: UInt64, _ names: [String]) -> Bool {
        let fresh = names.count { !gathered.contains($0) }
        guard gathered.count + fresh <= Self.namesMaximum,
            waiters.count + (reading?.waiters.count ?? 0) < Self.waitingMaximum
        else { return false }
        gathered.append(contentsOf: names)
        waiters.append(Waiter(token: token, names: names))
        return true
    }

    /// The names to read next, under this number; nil while there are none or a read is under way.
    mutating func begin(_ number: UInt64) -> [String]? {
        guard reading == nil, !gathered.isEmpty else { return nil }
        let names = Array(gathered)
        reading = Reading(number: number, names: names, waiters: waiters)
        gathered = []
        waiters = []
        return names
    }

    /// Ends the read of that number; nil where it is none of these. `settled` says of each name
    /// whether its register was read.
    ///
    /// Where none was, the voters are out of reach, and those who gathered behind are told at once:
    /// they would wait as long again for the same answer.
    mutating func end(_ number: UInt64, settled: [Bool]) -> [Answer]? {
        guard let ended = reading, ended.number == number else { return nil }
        reading = nil
        guard settled.contains(true) else {
            let all = ended.waiters + waiters
            gathered = []
            waiters = []
            return all.map { Answer(token: $0.token, isComplete: false) }
        }
        let open = Set(zip(ended.names, settled).filter { !$0.1 }.map(\.0))
        return ended.waiters.map { waiter in
            Answer(
                token: waiter.token,
                isComplete: open.isEmpty || waiter.names.allSatisfy { !open.contains($0) })
        }
    }
}

extension Control {
    /// Reads the registers of topics that this broker has not heard of: a miss is settled by a
    /// linearizable read, so that no client sees a topic vanish between two brokers.
    mutating func lookUp(_ names: [String], _ token: UInt64, into effects: inout [Effect]) {
        let missing = names.filter { topics[$0] == nil && TopicName.refusal(of: $0) == nil }
        guard !missing.isEmpty, lookups.add(token, missing) else {
            effects.append(.reply(token: token, .lookedUp(isComplete: missing.isEmpty)))
            return
        }
        readWhatIsMissing(into: &effects)
    }

    mutating func readWhatIsMissing(into effects: inout [Effect]) {
        let number = serial + 1
        guard let names = lookups.begin(number) else { return }
        serial = number
        effects.append(.read(number, names.map(Self.key)))
    }
}
