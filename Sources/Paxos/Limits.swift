/// The named bounds of `Paxos`, each with the reason for its number.
enum Limits {}
