// The Compression target begins here.
