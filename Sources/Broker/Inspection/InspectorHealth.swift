import Glibc
import Gossip
import Model
import Node
import Transport

/// What a doctor would ask this broker.
extension Inspector {
    func watchClock() { clock.note(Clock.now()) }

    func health(_ mesh: Mesh, _ shell: MeshShell) -> HealthReport {
        let own = mesh.gossip.ownRecord
        let times = [reactor.shared.tables.writeTimes, reactor.shared.registers.writeTimes]
        let space = Self.space(at: reactor.shared.dataDirectory)
        return HealthReport(
            version: own.description.softwareVersion, featureLevel: own.description.featureLevel,
            isSelfIsolated: mesh.isIsolated, health: mesh.gossip.healthMultiplier,
            freeBytes: space.free, totalBytes: space.total,
            writes: times.reduce(0) { $0 + $1.writes },
            slowWrites: times.reduce(0) { $0 + $1.slowWrites },
            longestWriteMilliseconds: times.map(\.longestMilliseconds).max() ?? 0,
            clockJumps: clock.jumps, lastClockJumpMilliseconds: clock.lastJumpMilliseconds,
            splitVersions: mesh.gossip.counters.splitVersions,
            links: configuration.mesh.links.rawValue,
            isReachable: configuration.mesh.listen.map { !$0.isLoopback } ?? false,
            secretMode: shell.secretFile.flatMap(Self.mode))
    }

    /// Bytes that the file system of a directory has left for this process, and its size.
    private static func space(at path: String) -> (free: Int64, total: Int64) {
        var information = statvfs()
        guard unsafe statvfs(path, &information) == 0 else { return (0, 0) }
        func bytes(_ blocks: some BinaryInteger) -> Int64 {
            let (count, overflow) = Int64(clamping: blocks).multipliedReportingOverflow(
                by: Int64(clamping: information.f_frsize))
            return overflow ? .max : count
        }
        return (bytes(information.f_bavail), bytes(information.f_blocks))
    }

    private static func mode(of path: String) -> String? {
        var information = stat()
        guard unsafe stat(path, &information) == 0 else { return nil }
        return String(information.st_mode & 0o777, radix: 8)
    }
}
