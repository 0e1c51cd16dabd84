/// The named bounds of `Transport`, each with the reason for its number.
enum Limits {}
