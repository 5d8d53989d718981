"""Figures recomputed from the events."""
