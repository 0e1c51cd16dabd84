import Model
internal import NIOCore

extension PartitionLog {
    /// Flushes, and writes the summaries that let the next opening trust everything; for a disk
    /// thread, when no task runs. The log takes no more writes.
    public mutating func close() throws(DiskError) {
        defer {
            tail.remove(log: number)
            for segment in segments {
                files.forget(FileKey(log: number, baseOffset: segment.baseOffset.rawValue))
            }
            if refusal == nil { refusal = .closed }
        }
        guard refusal == nil else { return }
        while let task = beginFlush() {
            do throws(DiskError) {
                try task.run()
            } catch {
                failFlush(task, error)
                throw error
            }
            completeFlush(task)
        }
        guard active.size > 0, let index = active.index else { return }
        try write(
            SegmentSummary(segment: active, index: index).encode(), to: .index(active.baseOffset))
        let snapshot = LogSnapshot(offset: endOffset, epochs: epochs, producers: producers)
        try write(snapshot.encode(), to: .snapshot(endOffset))
    }

    private func write(_ content: ByteBuffer, to name: LogFile) throws(DiskError) {
        let file = try disk.open(name.path(in: directory), .replace)
        try file.write(at: 0, head: content, body: ByteBuffer())
    }
}
