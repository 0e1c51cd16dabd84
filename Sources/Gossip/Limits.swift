/// The named bounds of `Gossip`, each with the reason for its number.
enum Limits {}
