import DequeModule

/// What a reactor has still to handle, in order: the mesh's own messages first.
///
/// After a broker's death thousands of partitions are led anew, followed anew and written to. A
/// probe or a lease that waited behind all of that would be answered too late, and this broker be
/// taken for dead as well, which makes more of the same work. Messages of one class keep their
/// order; between the classes there is none anyway, because shards may have loops of their own.
/// Owned by its reactor.
struct Inbox {
    private var mesh = Deque<Message>()
    private var others = Deque<Message>()

    var isEmpty: Bool { mesh.isEmpty && others.isEmpty }

    mutating func append(_ message: Message) {
        if case .mesh = message { mesh.append(message) } else { others.append(message) }
    }

    mutating func append(contentsOf messages: Deque<Message>) {
        for message in messages { append(message) }
    }

    mutating func popFirst() -> Message? { mesh.popFirst() ?? others.popFirst() }
}
