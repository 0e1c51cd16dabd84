import Broker

/// The tables of one broker or of all, put together from the pages that brokers answer with.
///
/// A broker looks at a thousand keys at a time, so that its loop is not held; what is read is so no
/// picture of one moment, and what changed meanwhile is there as one of its pages had it. Brokers
/// may end their pages at different places: the next begins at the first of these, and a key that
/// comes again replaces what was known of it.
struct TableListing {
    private(set) var answers: [Int32: InspectionAnswer] = [:]
    private var tables: [Int32: [String: VersionReport]] = [:]
    private(set) var silent: Set<Int32> = []
    /// The bucket that the next page begins with; nil at the end.
    private(set) var next: Int? = 0

    mutating func take(_ seen: InspectionAnswers) {
        for answer in seen.answers {
            answers[answer.nodeId] = answer
            for version in answer.versions ?? [] {
                tables[answer.nodeId, default: [:]][version.key] = version
            }
        }
        // A broker that misses a page has no table that others could be compared with.
        silent.formUnion(seen.silent)
        let nexts = seen.answers.filter { $0.error == nil }.compactMap(\.nextBucket)
        // Every page ends behind its first bucket, so this ends.
        next = nexts.min().flatMap { $0 > next ?? 0 ? $0 : nil }
    }

    /// As if it had been one answer.
    var whole: InspectionAnswers {
        let spoken = answers.keys.sorted().filter { !silent.contains($0) }
        return InspectionAnswers(
            answers: spoken.compactMap { node in
                var answer = answers[node]
                let table = tables[node] ?? [:]
                answer?.versions = table.values.sorted { $0.key < $1.key }
                answer?.nextBucket = nil
                return answer
            }, silent: silent.sorted())
    }
}

extension AdminOptions {
    /// Lists the keys with a prefix, however many pages they take.
    func askTable(everywhere: Bool, prefix: String?) async throws -> InspectionAnswers {
        var listing = TableListing()
        while let bucket = listing.next {
            listing.take(
                try await ask(
                    InspectionQuestion(
                        .versions, everywhere: everywhere, key: prefix, bucket: bucket)))
        }
        return listing.whole
    }
}
