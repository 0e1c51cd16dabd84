/// The order statistics of a sample, by nearest rank; costs one sort.
public struct Percentiles: Hashable, Sendable {
    private let sorted: [Double]

    public init(_ values: [Double]) { sorted = values.sorted() }

    public var count: Int { sorted.count }

    /// Nil where there is no sample.
    public func at(_ part: Double) -> Double? {
        guard !sorted.isEmpty else { return nil }
        let rank = Int((Double(sorted.count) * part).rounded(.up))
        return sorted[min(sorted.count, max(1, rank)) - 1]
    }

    public var maximum: Double? { sorted.last }
}
