/// What one request may ask for, beyond the bounds that the codec keeps.
enum RequestBounds {
    /// Partitions in one Produce or Fetch: far beyond any client's, and little memory.
    static let partitionsMaximum = 100_000
    /// Partitions that one request asks offsets, sizes or producers of: all that a broker holds.
    static let questionsMaximum = 200_000
    /// How long an empty fetch is held back at most; its client only wants to be answered later.
    static let emptyFetchMilliseconds: Int64 = 30_000
    /// Topics that one Metadata request can bring into being: a stranger's list of names must not
    /// become a hundred thousand directories. Clients ask again for what is left.
    static let topicsMadeMaximum = 100
}
