// The Broker target begins here.
