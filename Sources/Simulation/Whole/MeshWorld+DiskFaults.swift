import Model
import NIOCore
import Node

/// What goes wrong with disks beyond slowness and loss of power: wrong bytes, damage, and a disk
/// that is put back as it was.
///
/// Each costs the mesh one disk at most, so none of them begins unless it is whole. A broker must
/// find out, and must not serve what is wrong: batches and frames have checksums, tables refuse to
/// open, and an old disk is betrayed by its boot.
extension MeshWorld {
    private static let tables = ["chosen", "registers", "table"]
    private static let frameMagic: [UInt8] = [0x47, 0x45, 0x4E, 0x54]
    static let diskFaults: Set<MeshFault.Kind> = [
        .misreads, .damagedLog, .damagedTable, .restoredDisk,
    ]

    func disturb(disk fault: MeshFault) {
        let site = sites[fault.victim]
        isDiskLost = true
        switch fault.kind {
        case .misreads:
            let part = [0.01, 0.1, 0.5][Int(draw(0...2))]
            site.disk.setMisreads(part, below: "logs")
            // Old records are read from the disk only by who is behind; a start reads them all.
            if chance(0.5) { restart(site) }
        case .damagedLog: damageLog(of: site)
        case .damagedTable: damageTable(of: site, until: fault)
        case .restoredDisk:
            site.image = SimulatedDisk(copying: site.disk, seed: random.next())
            site.imageBoot = site.life?.boot
            // It is older than the disk only once the broker has started again.
            restart(site)
        default: preconditionFailure("\(fault.kind.rawValue) is no fault of a disk")
        }
    }

    func settle(disk fault: MeshFault) {
        let site = sites[fault.victim]
        switch fault.kind {
        case .misreads: site.disk.setMisreads(nil, below: "logs")
        // Readers were told that it is corrupt, or nobody read it: whoever looks after the broker
        // gives it an empty disk.
        case .damagedLog: replaceDisk(of: site)
        case .damagedTable:
            guard site.isDamaged else { return }
            replaceDisk(of: site)
        case .restoredDisk: putBack(site)
        default: preconditionFailure("\(fault.kind.rawValue) is no fault of a disk")
        }
    }

    private func restart(_ site: BrokerSite) {
        site.mayRunAt = now
        kill(site, withMachine: false)
        startLater(site)
    }

    // MARK: Damage

    /// A bit of a log is another one, for good: a start cuts it off where it was being written, and
    /// elsewhere no reader may be given it.
    private func damageLog(of site: BrokerSite) {
        let logs = site.disk.paths.filter { path in
            path.hasSuffix(".log") && site.disk.contents(of: path)?.isEmpty == false
        }
        guard !logs.isEmpty else { return }
        let path = logs[Int(draw(0...Int64(logs.count - 1)))]
        let size = site.disk.contents(of: path)?.count ?? 0
        let byte = Int(draw(0...Int64(size - 1)))
        restart(site)
        site.disk.flipBit(of: path, byte: byte, bit: Int(draw(0...7)))
        counts.reached["logs damaged", default: 0] += 1
        note(UInt64(byte), "byte \(byte) of \(path) is damaged, of \(size)")
    }

    /// A bit in a table is another one, and not in its last frame: that one would be taken for one
    /// that was being written, as every log of the kind has to.
    private func damageTable(of site: BrokerSite, until fault: MeshFault) {
        let path = Self.tables[Int(draw(0...2))]
        guard let content = site.disk.contents(of: path),
            let last = Self.lastFrame(of: content), last > 8
        else { return }
        site.mayRunAt = now
        kill(site, withMachine: false)
        startLater(site)
        site.isDamaged = true
        let byte = Int(draw(0...Int64(last - 1)))
        site.disk.flipBit(of: path, byte: byte, bit: Int(draw(0...7)))
        counts.reached["tables damaged", default: 0] += 1
        note(UInt64(byte), "byte \(byte) of \(path) is damaged")
    }

    private static func lastFrame(of content: [UInt8]) -> Int? {
        var place = content.count - frameMagic.count
        while place > 0 {
            if Array(content[place..<place + frameMagic.count]) == frameMagic { return place }
            place -= 1
        }
        return nil
    }

    /// A broker with such a disk does not start; whoever looks after it gives it an empty one.
    func replaceDisk(of site: BrokerSite) {
        kill(site, withMachine: true)
        note(site.disk.traceHash)
        countDamage(of: site)
        site.wipe(seed: random.next())
        site.mayRunAt = now
        startLater(site)
    }

    // MARK: Old disks

    /// The disk is as it was when its copy was made, at an earlier start of the broker. Only where
    /// the others have heard of a later one: a disk that is put back before its broker started
    /// again can't be told from one that was not.
    private func putBack(_ site: BrokerSite) {
        guard let image = site.image, let then = site.imageBoot else { return }
        site.image = nil
        site.imageBoot = nil
        guard let life = site.life, life.isReady, life.boot > then else { return }
        let isKnown = members.allSatisfy { other in
            guard other.index != site.index else { return true }
            return other.life?.boots[site.store].map { $0.boot >= life.boot } == true
        }
        guard isKnown else { return }
        kill(site, withMachine: true)
        note(site.disk.traceHash)
        countDamage(of: site)
        site.putBack(image)
        counts.reached["old disks put back", default: 0] += 1
        site.mayRunAt = now
        startLater(site)
    }

    /// A peer refuses a process, because a later one of its store was seen, or another one that
    /// counts itself the same. Two such words end it, as they do in a broker (`Fence`).
    func shutOut(_ site: BrokerSite, by witness: NodeID) {
        guard let life = site.life else { return }
        life.witnesses.insert(witness)
        let others = (life.view?.brokers.count ?? 1) - 1
        guard life.witnesses.count >= min(2, max(1, others)) else { return }
        guard site.isPutBack else {
            return fail("\(site.node) was shut out for an older start, and its disk is no old one")
        }
        note(UInt64(site.index) << 8 | 41, "\(site.node) is shut out: its disk is an old one")
        counts.reached["old disks shut out", default: 0] += 1
        replaceDisk(of: site)
    }

    // MARK: Counting

    func countDamage(of site: BrokerSite) {
        let damage = site.disk.damage
        counts.reached["wrong reads", default: 0] += damage.wrongReads - site.counted.wrongReads
        counts.reached["writes lost", default: 0] += damage.lostWrites - site.counted.lostWrites
        counts.reached["writes torn", default: 0] += damage.tornWrites - site.counted.tornWrites
        site.counted = damage
    }
}
