/// The order statistics of a sample; costs one sort.
public struct Percentiles: Hashable, Sendable {
    private let sorted: [Double]

    public init(_ values: [Double]) { sorted = values.sorted() }

    public var count: Int { sorted.count }

    /// Nil where there is no sample.
    public func at(_ part: Double) -> Double? {
        guard !sorted.isEmpty else { return nil }
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]
    }

    public var maximum: Double? { sorted.last }
}
