// The Storage target begins here.
