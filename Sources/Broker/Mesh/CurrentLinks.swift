import Model
import Transport

/// Which link with each member carries its messages now: what was on its way is lost when that
/// changes, and at no other time.
///
/// A link whose place another one took closes up to seconds later; by then the streams of
/// partitions have begun anew over the newer link, and must not end with the older.
struct CurrentLinks {
    private var links: [NodeID: LinkID] = [:]

    /// Messages take this link from now on; true where they took another one before.
    mutating func opened(_ link: LinkID, with node: NodeID) -> Bool {
        let former = links.updateValue(link, forKey: node)
        return former != nil && former != link
    }

    /// True where this was the link that messages took.
    mutating func closed(_ link: LinkID, with node: NodeID) -> Bool {
        guard links[node] == link else { return false }
        links[node] = nil
        return true
    }
}
