/// The named bounds of `Sodium`, each with the reason for its number.
enum Limits {
    /// Keys, seeds and digests: 256 bits, what every primitive used here takes.
    static let keyBytes = 32
    /// The authentication tag of both AEADs.
    static let tagBytes = 16
}
