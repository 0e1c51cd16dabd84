import Node
import Paxos

extension MeshMutation {
    /// The rules of `SafetyRules.registers`.
    package static let registers: [MeshMutation] = [
        MeshMutation(
            "registers.promiseOutlivesAccept", "an accept erases the acceptor's promise",
            \.registers.promiseOutlivesAccept),
        MeshMutation(
            "registers.acceptRaisesPromise", "an accept does not raise the acceptor's promise",
            \.registers.acceptRaisesPromise),
        MeshMutation(
            "registers.persistBeforeReply", "a voter answers before its records are on disk",
            \.registers.persistBeforeReply, .synced),
        MeshMutation(
            "registers.readsWaitForPersist", "a read shows what is not on disk yet",
            \.registers.readsWaitForPersist, .synced),
        MeshMutation(
            "registers.storeChecked", "a voter whose disk was lost votes on as itself",
            \.registers.storeChecked, .wipes),
        MeshMutation(
            "registers.generationChecked", "voters take requests under an older roster",
            \.registers.generationChecked, .wipes),
        MeshMutation(
            "registers.floorChecked", "ballots below the floor are taken",
            \.registers.floorChecked),
        MeshMutation(
            "registers.removalChecksPromise",
            "a register with a promise above its tombstone is removed",
            \.registers.removalChecksPromise),
        MeshMutation(
            "registers.highestAcceptedWins",
            "a proposer goes on with its own value, whatever was accepted",
            \.registers.highestAcceptedWins),
        MeshMutation(
            "registers.chosenNeedsQuorum", "one accept counts as chosen",
            \.registers.chosenNeedsQuorum),
        MeshMutation(
            "registers.bootInBallot", "ballots of one node are the same in each of its lives",
            \.registers.bootInBallot, .restarts),
        MeshMutation(
            "registers.operationsRemembered", "a change that was made is made again",
            \.registers.operationsRemembered),
        MeshMutation(
            "registers.historyChecked",
            "a change is made again whose register may have forgotten it",
            \.registers.historyChecked),
        MeshMutation(
            "registers.ambiguitySettled", "an abandoned change is not settled before the next",
            \.registers.ambiguitySettled),
        MeshMutation(
            "registers.readsAgree", "a read ends although voters differ", \.registers.readsAgree),
        MeshMutation(
            "registers.storesCounted", "a quorum counts node ids, whatever their disks",
            \.registers.storesCounted, .wipes),
        MeshMutation(
            "registers.registersRepaired", "a new voter votes without the registers of the others",
            \.registers.registersRepaired, .wipes),
        MeshMutation(
            "registers.oldVotersSealed",
            "old voters still answer older rosters while registers are copied",
            \.registers.oldVotersSealed, .wipes),
        MeshMutation(
            "registers.jointInBothPhases", "under a joint roster one majority may accept",
            \.registers.jointInBothPhases, .wipes),
        MeshMutation(
            "registers.promisesRepaired", "new voters are given values and no promises",
            \.registers.promisesRepaired, .wipes),
        MeshMutation(
            "registers.givenIsNotChosen", "what a repair gave to a quorum counts as chosen",
            \.registers.givenIsNotChosen, .wipes),
        MeshMutation(
            "registers.floorInherited", "a new voter takes what the old ones refuse for ever",
            \.registers.floorInherited, .wipes),
        MeshMutation(
            "registers.rejoinersForget", "a store that was left out comes back with what it held",
            \.registers.rejoinersForget, .wipes),
        MeshMutation(
            "registers.holdsHeeded",
            "a voter accepts a new leader while the old one's lease may hold",
            \.registers.holdsHeeded),
        MeshMutation(
            "registers.heldMayBeAccepted", "what one voter held back counts as not chosen",
            \.registers.heldMayBeAccepted),
    ]
}
