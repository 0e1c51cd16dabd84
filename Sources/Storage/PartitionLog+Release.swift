internal import Model

extension PartitionLog {
    /// Lets the caches forget this log, so that a deleted log's space is given back
    /// as soon as its last reader is done.
    public func releaseFiles() {
        tail.remove(log: number)
        for segment in segments {
            files.forget(FileKey(log: number, baseOffset: segment.baseOffset.rawValue))
        }
    }
}
