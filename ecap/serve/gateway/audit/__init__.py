"""The security log, for who may read it."""
