// The Replication target begins here.
