/// Why bytes were refused, or why a value cannot be put on the wire.
///
/// Everything that a socket delivers ends here when it is wrong; no decoder traps. Whoever catches
/// one has lost the frame and nothing else: the message is unchanged or was never made.
public enum WireError: Error, Hashable, Sendable {
    /// The frame ended before the message did.
    case truncated
    /// The message ended before the frame did.
    case trailingBytes(Int)
    /// A length below zero where it cannot mean null.
    case negativeLength(Int32)
    /// Null where this version has no null.
    case nullNotAllowed
    /// More elements than `WireLimits` admits, or than the bytes left could hold.
    case tooManyElements(Int)
    /// More tagged fields than `WireLimits` admits.
    case tooManyTags(UInt32)
    /// Tag numbers must rise strictly.
    case tagsOutOfOrder(UInt32)
    /// A known tagged field did not fill the size that was announced for it.
    case tagSizeMismatch(UInt32)
    /// A variable-length integer of more than 32 bits.
    case varintTooLong
    /// A string that is not UTF-8.
    case invalidUTF8
    /// A string, an array or a message too long for its length field.
    case tooLong(Int)
    /// A key that this implementation does not know.
    case unknownAPIKey(Int16)
    /// A version outside the range of the key.
    case unsupportedVersion(apiKey: Int16, version: Int16)
}
