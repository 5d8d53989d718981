"""Sections of what the services decide by, and how many replicas serve them."""
