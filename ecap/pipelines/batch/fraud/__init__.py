"""Decisions tried on the events."""
