"""A Vault-API server: its log-in, its session, its secrets."""
