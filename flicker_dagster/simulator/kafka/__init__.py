"""A Kafka broker of one node: logs, transactions and the part of the protocol that producers and readers need."""
