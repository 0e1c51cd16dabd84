import Dispatch
import Foundation
import Synchronization

/// Whether somebody pressed Ctrl-C: the run under way is finished, and then told.
///
/// The first signal asks, the second one ends the process where it is.
final class StopRequest {
    /// Set on a queue of Dispatch, read by the thread that runs seeds.
    private final class Flag: Sendable {
        let value = Atomic(false)
    }

    private let flag = Flag()
    private let source: any DispatchSourceSignal

    init() {
        // The source hears of a signal only where the default, which ends the process, is off.
        _ = signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { [flag] in
            if flag.value.exchange(true, ordering: .relaxed) { _exit(130) }
        }
        source.resume()
    }

    deinit { source.cancel() }

    var isSet: Bool { flag.value.load(ordering: .relaxed) }
}
