"""A shard of a stream: which partitions it holds, what it applies, what it commits."""
