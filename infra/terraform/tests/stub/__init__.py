"""A provider that knows the real schemas and never calls AWS."""
