import Gossip
public import Model

/// The control half of a broker whole: the control machine and the mesh, joined by values.
///
/// What the control machine wants decided goes to the mesh; what the mesh learned, decided or heard
/// of goes to the control machine; everything else is for the shell. Owned by one event loop. The
/// simulator runs the same composition.
public struct ControlPlane {
    /// An input of either half.
    public enum Input: Sendable {
        case control(Control.Input)
        case mesh(Mesh.Input)
    }

    /// What is left for the shell; the cases that join the two halves never come out.
    public enum Effect: Sendable {
        case control(Control.Effect)
        case mesh(Mesh.Effect)
    }

    public private(set) var control: Control
    public private(set) var mesh: Mesh
    /// The moments that the halves asked for last, said once an input is done with. One half may
    /// be entered again while its earlier effects are carried out: in their order an older wish
    /// would come after the newer one and take its place, and a half waits for ever for a moment
    /// that it believes is asked for.
    private var controlWake: Instant?
    private var meshWake: Instant?
    /// What was wanted of registers and what came of it, oldest first; nil where nobody looks. Who
    /// sets it takes out what is in it.
    package var registerEvents: [RegisterEvent]?
    private var controlEffects: [Control.Effect] = []
    private var meshEffects: [Mesh.Effect] = []

    public init(control: Control, mesh: Mesh) {
        self.control = control
        self.mesh = mesh
    }

    public mutating func handle(_ input: Input, now: Now, into effects: inout [Effect]) {
        switch input {
        case .control(let input):
            drive(control: input, now: now, into: &effects)
            if case .handOver = input, !mesh.seesQuorum {
                drive(control: .votersGone, now: now, into: &effects)
            }
        case .mesh(let input): drive(mesh: input, now: now, into: &effects)
        }
        if let moment = controlWake {
            precondition(control.announcedWake == moment, "what was said last counts")
            effects.append(.control(.wake(at: moment)))
        }
        if let moment = meshWake {
            precondition(mesh.announcedWake == moment, "what was said last counts")
            effects.append(.mesh(.wake(at: moment)))
        }
        controlWake = nil
        meshWake = nil
    }

    private mutating func drive(
        control input: Control.Input, now: Now, into effects: inout [Effect]
    ) {
        var said: [Control.Effect] = []
        swap(&said, &controlEffects)
        control.handle(input, now: now, into: &said)
        for case .wake(let moment) in said { controlWake = moment }
        for effect in said {
            switch effect {
            case .wake: continue
            case .leadershipsConfirmed(let serial, let isComplete):
                drive(
                    mesh: .leadershipsConfirmed(serial, isComplete: isComplete), now: now,
                    into: &effects)
            case .releaseLease: drive(mesh: .releaseLease, now: now, into: &effects)
            case .propose(let number, let proposals):
                registerEvents?.append(.proposed(number, proposals))
                drive(mesh: .propose(number, proposals), now: now, into: &effects)
            case .slotEpochs(let epochs):
                drive(mesh: .slotEpochs(epochs), now: now, into: &effects)
            case .forgetSlots(let topic):
                drive(mesh: .forgetSlots(of: topic), now: now, into: &effects)
            case .spread(let news): drive(mesh: .spread(news), now: now, into: &effects)
            case .read(let number, let keys):
                registerEvents?.append(.read(number, keys))
                drive(mesh: .read(number, keys), now: now, into: &effects)
            default: effects.append(.control(effect))
            }
        }
        said.removeAll(keepingCapacity: true)
        swap(&said, &controlEffects)
    }

    private mutating func drive(
        mesh input: Mesh.Input, now: Now, into effects: inout [Effect]
    ) {
        var said: [Mesh.Effect] = []
        swap(&said, &meshEffects)
        mesh.handle(input, now: now.instant, into: &said)
        for case .wake(let moment) in said { meshWake = moment }
        for effect in said {
            switch effect {
            case .wake: continue
            case .loaded(let values): drive(control: .start(values), now: now, into: &effects)
            case .learned(let values): drive(control: .learned(values), now: now, into: &effects)
            case .decided(let number, let decisions):
                registerEvents?.append(.decided(number, decisions))
                drive(control: .decided(number, decisions), now: now, into: &effects)
            case .admitted(let record):
                effects.append(.mesh(effect))
                drive(
                    control: record.isRevoked
                        ? .forgotten(record.node) : .letIn(record.node), now: now, into: &effects)
            case .leased(let until): drive(control: .leased(until: until), now: now, into: &effects)
            case .confirmLeaderships(let serial):
                drive(control: .confirmLeaderships(serial), now: now, into: &effects)
            case .members(let members):
                drive(control: .members(members), now: now, into: &effects)
                if !mesh.seesQuorum { drive(control: .votersGone, now: now, into: &effects) }
            default: effects.append(.mesh(effect))
            }
        }
        said.removeAll(keepingCapacity: true)
        swap(&said, &meshEffects)
    }
}

/// A step of a decision, as the control machine sees it: a register's history is made of these.
package enum RegisterEvent: Sendable {
    case proposed(UInt64, [RegisterProposal])
    case read(UInt64, [String])
    case decided(UInt64, [Decision])
}
