/// What one request may ask for, beyond the bounds that the codec keeps.
enum RequestBounds {
    /// Partitions in one Produce or Fetch: far beyond any client's, and little memory.
    static let partitionsMaximum = 100_000
    /// Topics that one Metadata request can bring into being: a stranger's list of names must not
    /// become a hundred thousand directories. Clients ask again for what is left.
    static let topicsMadeMaximum = 100
}
