"""Identifiers, money, windows and partitions: what everything else is counted and named by."""
