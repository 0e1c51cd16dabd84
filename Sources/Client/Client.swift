// The Client target begins here.
