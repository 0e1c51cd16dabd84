/// The bounds that the decoder sets against hostile or broken frames.
public enum WireLimits {
    /// As Kafka 4.4: far more topics or partitions than a broker serves in one request.
    public static let elementCountMax = 1_000_000
    /// As Kafka 4.4: no version of any message has more than a handful of tagged fields.
    public static let tagCountMax: UInt32 = 10_000
    /// Room reserved before the elements are seen: a lying count costs at most this many.
    public static let reservedElementCountMax = 1_000
    /// The longest string of the legacy encoding, whose length is an `Int16`.
    public static let legacyStringLengthMax = Int(Int16.max)
    /// The longest message: frames carry their length in an `Int32`.
    public static let messageSizeMax = Int(Int32.max)
}
