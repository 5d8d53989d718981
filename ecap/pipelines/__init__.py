"""Steps of the stream shards, and batch jobs."""
