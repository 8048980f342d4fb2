"""What the Kafka destination is made of: librdkafka's settings, a producer's session, notes of what was committed, errors."""
