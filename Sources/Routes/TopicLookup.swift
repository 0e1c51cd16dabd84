import KafkaProtocol
import Model
import Node

extension RequestLoop {
    /// Calls back once the view has what exists of `names`; with false where that can't be settled.
    ///
    /// A miss is read from the topic's register before anybody hears of it, so that a topic that
    /// one broker has just made is there for whoever asks another.
    func lookUp(_ names: [String], then: @escaping (_ isComplete: Bool) -> Void) {
        let missing = Set(names).filter {
            view.topic(named: $0) == nil && TopicName.refusal(of: $0) == nil
        }
        guard !missing.isEmpty else { return then(true) }
        let asked = missing.sorted().prefix(RequestBounds.topicsMadeMaximum)
        ask(.lookUp(Array(asked))) { reply in
            guard case .lookedUp(let isComplete) = reply else { return }
            then(isComplete && asked.count == missing.count)
        }
    }
}

extension TopicOutcome {
    /// The error for a client; what could not be looked up is never called unknown.
    func code(isComplete: Bool) -> ErrorCode {
        if error == .unknown, !isComplete { return .requestTimedOut }
        return error?.code ?? .none
    }
}
