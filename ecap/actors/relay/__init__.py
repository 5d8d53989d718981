"""The way of events from the outboxes to Kafka."""
