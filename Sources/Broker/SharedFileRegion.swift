import NIOCore
import Storage

/// Lends an open segment to `sendfile` without giving its descriptor away.
///
/// NIO's `FileRegion` wants a file handle of its own and refuses to let it go while it is open;
/// segments are shared by every reader. So each write wraps the descriptor in a handle for as long
/// as the write takes, takes it back unclosed when the write is done or has failed, and keeps the
/// segment's file alive until then.
enum SharedFileRegion {
    static func write(_ slice: LogSlice, to context: ChannelHandlerContext) {
        guard let descriptor = slice.file.descriptor else {
            preconditionFailure("a broker's disk has descriptors")
        }
        let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: descriptor)
        let region = FileRegion(
            fileHandle: handle, readerIndex: Int(slice.position),
            endIndex: Int(slice.position) + slice.length)
        let written = context.eventLoop.makePromise(of: Void.self)
        let file = slice.file
        written.futureResult.assumeIsolated().whenComplete { _ in
            // The only error is that the handle is closed, and nobody closes it.
            _ = try? handle.takeDescriptorOwnership()
            withExtendedLifetime(file) {}
        }
        context.write(NIOAny(IOData.fileRegion(region)), promise: written)
    }
}
