import Model
import Testing

@testable import Node

@Suite("Placement: leaders and backups spread over brokers and racks")
struct PlacementTests {
    private func sites(_ racks: [String], loads: [Int] = []) -> [Placement.Site] {
        racks.enumerated().map { index, rack in
            Placement.Site(
                node: NodeID(Int32(index + 1)), rack: rack,
                load: loads.indices.contains(index) ? loads[index] : 0)
        }
    }

    @Test("Every broker leads and backs up as many as the others, give or take one")
    func balance() {
        for brokers in 1...9 {
            for replicas in 1...brokers {
                let placement = Placement(sites(Array(repeating: "", count: brokers)))
                let partitions = placement.partitions(first: 0, count: 60, replicas: replicas)
                var leads = [Int](repeating: 0, count: brokers)
                var holds = [Int](repeating: 0, count: brokers)
                for set in partitions {
                    #expect(Set(set).count == replicas)
                    leads[Int(set[0].rawValue) - 1] += 1
                    for node in set { holds[Int(node.rawValue) - 1] += 1 }
                }
                #expect(leads.max()! - leads.min()! <= 1)
                #expect(holds.max()! - holds.min()! <= replicas)
            }
        }
    }

    @Test("The partitions of one leader have their first backups on all others")
    func backupsSpread() {
        let placement = Placement(sites(Array(repeating: "", count: 5)))
        let partitions = placement.partitions(first: 0, count: 20, replicas: 3)
        let successors = Set(partitions.filter { $0[0] == partitions[0][0] }.map { $0[1] })
        #expect(successors.count == 4)
    }

    @Test("Replicas are in as many racks as there are")
    func racks() {
        let names = ["a", "a", "a", "b", "b", "c"]
        let placement = Placement(sites(names))
        for (index, set) in placement.partitions(first: 0, count: 30, replicas: 3).enumerated() {
            let racks = Set(set.map { names[Int($0.rawValue) - 1] })
            #expect(racks.count == 3, "partition \(index): \(set)")
        }
        // Two racks, three replicas: both racks are used.
        let two = ["a", "a", "b", "b"]
        for set in Placement(sites(two)).partitions(first: 0, count: 12, replicas: 3) {
            #expect(Set(set.map { two[Int($0.rawValue) - 1] }).count == 2)
        }
    }

    @Test("The broker that leads least gets the first partition, in any order of the sites")
    func load() {
        let list = sites(["", "", ""], loads: [7, 3, 9])
        let first = Placement(list).partitions(first: 0, count: 1, replicas: 2)
        #expect(first == [[NodeID(2), NodeID(1)]])
        #expect(Placement(list.reversed()).partitions(first: 0, count: 1, replicas: 2) == first)
    }
}
