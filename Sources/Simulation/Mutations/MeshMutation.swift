package import Node

/// A deliberate bug: one rule of a broker switched off, and how whole meshes are run to find it.
///
/// The tables of those are beside this file. A search that leaves a rule out finds a violation
/// soon, or nobody knows what the rule is for.
package struct MeshMutation: Sendable {
    package typealias Rule = WritableKeyPath<SafetyRules, Bool> & Sendable

    /// What the options that a seed draws are narrowed to, so that what the rule is about happens
    /// often.
    package enum Plan: String, CaseIterable, Sendable {
        /// As `gossamer-sim` runs it.
        case any
        /// Machines lose their power, and with it what was not synced.
        case power
        /// The same where everything is synced before it is acknowledged.
        case synced
        /// Processes that end, and start again.
        case restarts
        /// Cuts, pauses and losses.
        case networks
        /// One machine after the other loses its disk.
        case wipes
        /// Brokers that are stopped in order.
        case stops
        /// Loops that stall while leaderships move on purpose.
        case moves
        /// Power that goes everywhere right after processes ended.
        case blackouts
        /// Coordinators that are cut off while others succeed them.
        case coordinators
    }

    /// Another rule that prevents the same: only without both is a promise broken.
    package struct Cover: Sendable {
        package let name: String
        package let rule: any Rule
        /// How it does so, in a few words, for the table.
        package let why: String

        init(_ name: String, _ rule: any Rule, _ why: String) {
            self.name = name
            self.rule = rule
            self.why = why
        }
    }

    /// The group of the rule and its name, as in `registers.storeChecked`.
    package let name: String
    /// The bug in a few words, for the table.
    package let bug: String
    package let rule: any Rule
    package let plan: Plan
    package let cover: Cover?

    init(
        _ name: String, _ bug: String, _ rule: any Rule, _ plan: Plan = .any, cover: Cover? = nil
    ) {
        self.name = name
        self.bug = bug
        self.rule = rule
        self.plan = plan
        self.cover = cover
    }

    package static let all = registers + replication + groups + storage + node + gossip

    /// One run of a mesh whose brokers lack the rule; where it is `uncovered`, the other one too.
    package func run(
        seed: UInt64, plan: Plan? = nil, uncovered: Bool = false, traced: Bool = false
    ) -> (verdict: MeshVerdict, trace: [String]) {
        var rules = SafetyRules()
        rules[keyPath: rule] = false
        if uncovered, let cover { rules[keyPath: cover.rule] = false }
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
        guard plan != .any else { return options }
        options.brokers = min(options.brokers, 4)
        options.partitions = min(options.partitions, 2)
        options.faultsMilliseconds = 15_000
        options.watchesOffsets = false
        options.faultPauseMilliseconds = min(options.faultPauseMilliseconds, 1_000)
        switch plan {
        case .any: break
        case .power:
            options.isSynced = false
            options.faultPauseMilliseconds = 3_000
            options.faultsMilliseconds = 30_000
            options.faults = [.powerLoss, .tornPower, .stop]
        case .synced:
            options.isSynced = true
            options.faults = [.allKilled, .kill, .powerLoss, .tornPower]
        case .restarts: options.faults = [.kill, .stop, .allKilled, .slowDisk]
        case .networks: options.faults = [.cut, .oneWayCut, .datagramHole, .pause, .slowDisk]
        case .wipes:
            options.faultPauseMilliseconds = 3_000
            options.faultsMilliseconds = 30_000
            options.faults = [.wipe, .wipe, .pause, .oneWayCut]
        case .stops: options.faults = [.stop, .pause, .oneWayCut]
        case .moves:
            options.faults = [
                .stalledLoop, .stalledLoop, .stop, .leaderElection, .reassignment, .rollingRestart,
                .oneWayCut, .slowLink,
            ]
        case .blackouts:
            options.isSynced = true
            options.faults = [.allKilled, .allKilled, .allPowerLost, .kill]
        case .coordinators:
            options.watchesOffsets = true
            options.faults = [.cut, .oneWayCut, .pause, .slowLink]
        }
        return options
    }
}
