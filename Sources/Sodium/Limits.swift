/// The named bounds of `Sodium`, each with the reason for its number.
enum Limits {}
