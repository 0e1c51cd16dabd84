// The Simulation target begins here.
