"""Decisions about transactions, and the alerts an analyst works through."""
