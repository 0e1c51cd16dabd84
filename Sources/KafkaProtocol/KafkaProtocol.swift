// The KafkaProtocol target begins here.
