"""PostgreSQL, Kafka and the transactional outbox: connections, never a service's queries."""
