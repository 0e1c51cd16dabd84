// The Node target begins here.
