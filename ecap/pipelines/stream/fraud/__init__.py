"""Decisions and alerts, from the transactions of each customer."""
