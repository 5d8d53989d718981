"""Rate limits: exact buckets in one place, lent out to replicas."""
