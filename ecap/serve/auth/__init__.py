"""Accounts, log in, access tokens and the keys that sign them."""
