// The Coordination target begins here.
