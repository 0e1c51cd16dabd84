import Model
import Transport

/// Which seeds were said to be out of reach, and why: a seed that is away for a day is tried all
/// day and is worth one line.
struct SeedComplaints {
    /// Addresses that are remembered: more than anybody lists; others are told of each time.
    private static let addressesMaximum = 256

    private var said: [MeshAddress: LinkFailure] = [:]

    /// Whether the failure was not said of this address since it was last reached.
    mutating func isNews(_ address: MeshAddress, _ failure: LinkFailure) -> Bool {
        guard said[address] != failure else { return false }
        if said.count < Self.addressesMaximum || said[address] != nil { said[address] = failure }
        return true
    }

    mutating func reached(_ address: MeshAddress) { said[address] = nil }
}

extension MeshAddress {
    /// As people write it: an IPv6 address in brackets.
    var text: String { HostPort(host: host, port: Int(port)).description }
}
