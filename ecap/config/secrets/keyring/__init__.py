"""The Fernet keys that protect secrets at rest, and where they are kept."""
