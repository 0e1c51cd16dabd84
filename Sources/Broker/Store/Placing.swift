import Gossip
import Model
import NIOCore
import Node
import Storage
import Transport

/// Gives a data directory its place in a mesh, or finds it again: step two of a start.
///
/// A blank directory joins the mesh of its seeds, forms one with other blank brokers, or begins one
/// of its own. One that has joined and lost its table knows nobody any more: it asks to be let in
/// again, by the key and the store that it was admitted with, and is given what a newcomer is.
struct Placing: Sendable {
    let opening: StoreOpening
    let configuration: BrokerConfiguration
    let events: BrokerEvents

    func run(on loop: any EventLoop) async throws(BrokerStartError) -> DataStore {
        guard opening.isBlank else {
            let identity = try DataStore.identity(in: opening)
            if identity.hasJoined, try DataStore.hasLostTable(in: opening) {
                try await rejoin(identity, on: loop)
            }
            return try DataStore(opening, identity: identity, nodeID: configuration.nodeID)
        }
        var identity = DataStore.founding(nodeID: configuration.nodeID)
        try DataStore.forgetDecisions(in: opening)
        if !configuration.mesh.seeds.isEmpty {
            let grant = try await JoinClient.run(
                opening, configuration.mesh, as: configuration.nodeID, on: loop, events: events)
            guard grant.identity.hasJoined else {
                events.formed(node: grant.identity.nodeID, cluster: grant.identity.clusterID)
                return try DataStore(
                    opening, identity: grant.identity, nodeID: configuration.nodeID)
            }
            // First whom to trust, then who it is: a crash in between asks again.
            try DataStore.remember(grant.values, in: opening)
            identity = grant.identity
            events.joined(node: identity.nodeID, cluster: identity.clusterID)
        } else {
            try configuration.refuseFoundingInPublic()
            events.founded(node: identity.nodeID, cluster: identity.clusterID)
        }
        return try DataStore(opening, identity: identity, nodeID: configuration.nodeID)
    }

    /// Asks the seeds, and whoever was a member when this broker last ran. Gossip brings what the
    /// answer has no room for.
    private func rejoin(
        _ identity: DirectoryIdentity, on loop: any EventLoop
    ) async throws(BrokerStartError) {
        var settings = configuration.mesh
        settings.expect = nil
        for address in remembered(by: identity.nodeID) where !settings.seeds.contains(address) {
            settings.seeds.append(address)
        }
        guard !settings.seeds.isEmpty, settings.listen != nil else {
            throw .dataDirectory(
                "\(opening.root)/chosen is gone, and this broker knows no other of its mesh "
                    + "(\(identity.clusterID)). Name one that runs with --seed HOST:PORT, as when "
                    + "it joined, and it fetches the table from there")
        }
        events.tableLost(seeds: settings.seeds.count)
        let grant = try await JoinClient.run(
            opening, settings, as: identity.nodeID.rawValue, of: ClusterID(identity.clusterID),
            on: loop, events: events)
        guard grant.identity.nodeID == identity.nodeID,
            grant.identity.clusterID == identity.clusterID
        else {
            throw .mesh(
                "the mesh knows this broker's key as node \(grant.identity.nodeID.rawValue), and "
                    + "\(opening.root) belongs to node \(identity.nodeID.rawValue). Restore the "
                    + "directory from a copy, or start on an empty one")
        }
        try DataStore.remember(grant.values, in: opening)
        events.joined(node: identity.nodeID, cluster: identity.clusterID)
    }

    /// Where the members were that this broker last knew.
    private func remembered(by own: NodeID) -> [HostPort] {
        DataStore.changes(opening.table).compactMap { MeshRecords.member($0)?.record }
            .filter { $0.node != own }
            .flatMap { $0.description.addresses }
            .map { HostPort(host: $0.host, port: Int($0.port)) }
    }
}
