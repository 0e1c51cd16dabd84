import Model

/// The topics that are there, and on which brokers each has copies.
extension Control {
    /// Puts a topic in the place of the one with its name, which is returned.
    @discardableResult
    mutating func put(_ next: TopicEntry) -> TopicEntry? {
        let old = topics[next.name]
        topics.set(next)
        if let old { forgetPlaces(of: old) }
        for node in next.holders { placed[node, default: []].insert(next.name) }
        return old
    }

    /// Takes a topic out and returns it.
    mutating func take(_ name: String) -> TopicEntry? {
        guard let old = topics.remove(name) else { return nil }
        forgetPlaces(of: old)
        return old
    }

    private mutating func forgetPlaces(of topic: TopicEntry) {
        for node in topic.holders { placed[node]?.remove(topic.name) }
    }
}
