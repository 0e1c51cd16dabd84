public import Model

/// Which leader epoch began at which offset: the history that truncation is decided by.
///
/// Entries ascend in both. Taken from the batches themselves as they are appended, so recovery can
/// rebuild it; one entry for each change of leader. Source: KIP-101, KIP-320.
public struct EpochCache: Equatable, Sendable {
    /// An epoch and the first offset that was written under it.
    public struct Entry: Equatable, Sendable {
        public let epoch: LeaderEpoch
        public let startOffset: Offset
    }

    public private(set) var entries: [Entry] = []

    public init() {}

    public var latest: LeaderEpoch? { entries.last?.epoch }

    /// Notes that `epoch` writes from `offset` on; does nothing for the epoch that is the latest.
    ///
    /// An epoch that wrote nothing leaves no trace, also where the records that come after it are
    /// of an older one: this log's broker led for a moment, and copies from a later leader what
    /// that one had from before.
    mutating func assign(_ epoch: LeaderEpoch, at offset: Offset) {
        guard epoch.rawValue >= 0 else { return }
        while let last = entries.last, last.startOffset >= offset, last.epoch != epoch {
            entries.removeLast()
        }
        if let last = entries.last, last.epoch >= epoch { return }
        entries.append(Entry(epoch: epoch, startOffset: offset))
    }

    /// The largest epoch up to `epoch` and the offset behind its last record (KIP-320); nil where
    /// the log knows none so old.
    func endOffset(
        for epoch: LeaderEpoch, logEnd: Offset
    ) -> (epoch: LeaderEpoch, endOffset: Offset)? {
        guard let index = entries.lastIndex(where: { $0.epoch <= epoch }) else { return nil }
        let end = index + 1 < entries.count ? entries[index + 1].startOffset : logEnd
        return (entries[index].epoch, end)
    }

    /// Forgets epochs that begin at or behind the new end.
    mutating func truncate(to end: Offset) {
        while let last = entries.last, last.startOffset >= end { entries.removeLast() }
    }

    /// Keeps one entry for the first offset and those behind it.
    mutating func trim(before start: Offset) {
        let keep = entries.lastIndex(where: { $0.startOffset <= start }) ?? 0
        if keep > 0 { entries.removeFirst(keep) }
        if let first = entries.first, first.startOffset < start {
            entries[0] = Entry(epoch: first.epoch, startOffset: start)
        }
    }
}
