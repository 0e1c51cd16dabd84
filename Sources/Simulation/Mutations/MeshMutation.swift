package import Node

/// A deliberate bug: one rule of a broker switched off, and how whole meshes are run to find it.
///
/// The tables of those are beside this file. A search that leaves a rule out finds a violation soon,
/// or nobody knows what the rule is for.
package struct MeshMutation: Sendable {
    package typealias Rule = WritableKeyPath<SafetyRules, Bool> & Sendable

    /// What the options that a seed draws are narrowed to, so that what the rule is about happens.
    package enum Plan: String, CaseIterable, Sendable {
        case any
        /// Disks that are lost or lose what was not synced, and processes that die.
        case disks
        /// Processes that end, and start again.
        case restarts
        /// Cuts, pauses and losses.
        case networks
        /// One machine after the other loses its disk.
        case wipes
        /// Voters come and go.
        case stops
    }

    /// The group of the rule and its name, as in `registers.storeChecked`.
    package let name: String
    /// The bug in a few words, for the table.
    package let bug: String
    package let rule: any Rule
    package let plan: Plan

    init(_ name: String, _ bug: String, _ rule: any Rule, _ plan: Plan = .any) {
        self.name = name
        self.bug = bug
        self.rule = rule
        self.plan = plan
    }

    package static let all = registers + replication + groups + storage + node + gossip

    /// One run of a mesh whose brokers lack the rule.
    package func run(
        seed: UInt64, plan: Plan? = nil, traced: Bool = false
    ) -> (verdict: MeshVerdict, trace: [String]) {
        var rules = SafetyRules()
        rules[keyPath: rule] = false
        let world = MeshWorld(
            seed: seed, options: Self.options(plan ?? self.plan, seed: seed), traced: traced,
            rules: rules)
        let verdict = world.run()
        return (verdict, world.trace ?? [])
    }

    /// The same mesh with every rule.
    package static func clean(_ plan: Plan, seed: UInt64) -> MeshVerdict {
        MeshWorld(seed: seed, options: options(plan, seed: seed)).run()
    }

    private static func options(_ plan: Plan, seed: UInt64) -> MeshOptions {
        var options = MeshOptions(seed: seed)
        switch plan {
        case .any: return options
        case .disks: options.faults = [.kill, .powerLoss, .tornPower, .fullDisk, .slowDisk]
        case .restarts: options.faults = [.kill, .stop, .allKilled]
        case .networks: options.faults = [.cut, .oneWayCut, .datagramHole, .pause, .lossyNetwork]
        case .wipes: options.faults = [.wipe, .wipe, .pause, .oneWayCut]
        case .stops: options.faults = [.stop, .pause, .oneWayCut]
        }
        return options
    }
}
