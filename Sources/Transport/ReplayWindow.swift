/// Which counters of one key were seen: the newest and 1,024 behind it (RFC 6479).
///
/// Blocks of 64 bits in a ring, so that moving on clears whole words and shifts none. One block is
/// spare: it is the one that the newest counter is filling. Pure; 144 bytes, no allocation.
struct ReplayWindow {
    private static let blocks: UInt64 = Limits.replayWindow / 64 + 1

    /// Everything from here on is new.
    private var next: UInt64 = 0
    private var bits = InlineArray<17, UInt64>(repeating: 0)

    /// Whether the counter wasn't seen and isn't too old. Asked before a key is tried.
    func admits(_ counter: UInt64) -> Bool {
        if counter >= next { return true }
        guard next - counter <= Limits.replayWindow else { return false }
        return bits[Int(counter / 64 % Self.blocks)] & (1 << (counter % 64)) == 0
    }

    /// Remembers a counter that `admits` let pass and whose datagram is genuine.
    mutating func insert(_ counter: UInt64) {
        if counter >= next {
            // The block of the newest counter so far holds bits that stay.
            let from = next == 0 ? 0 : (next - 1) / 64 + 1
            let to = counter / 64
            if from <= to {
                let first = to - from >= Self.blocks ? to - (Self.blocks - 1) : from
                for block in first...to { bits[Int(block % Self.blocks)] = 0 }
            }
            next = counter + 1
        }
        bits[Int(counter / 64 % Self.blocks)] |= 1 << (counter % 64)
    }
}
