public import Replication

/// The states of a topic's partitions, by partition index.
///
/// A list in pieces that copies share: a view of the cluster holds on to the one that it was made
/// with, and a change of one partition copies its piece, not the states of ten thousand others. A
/// look-up costs two array accesses.
///
///     pieces   [0 ..< 64] [64 ..< 128] .. [the rest]
public struct PartitionStates: RandomAccessCollection, Sendable {
    /// One piece: a copy of it costs a few hundred reference counts.
    private static let pieceSize = 64

    private var pieces: [[PartitionState]] = []
    public private(set) var endIndex = 0

    public init() {}

    public var startIndex: Int { 0 }

    public internal(set) subscript(index: Int) -> PartitionState {
        get { pieces[index / Self.pieceSize][index % Self.pieceSize] }
        set { pieces[index / Self.pieceSize][index % Self.pieceSize] = newValue }
    }

    mutating func append(_ state: PartitionState) {
        if endIndex % Self.pieceSize == 0 { pieces.append([]) }
        pieces[endIndex / Self.pieceSize].append(state)
        endIndex += 1
    }
}

extension PartitionStates: ExpressibleByArrayLiteral {
    public init(arrayLiteral states: PartitionState...) {
        self.init()
        for state in states { append(state) }
    }
}
