"""Secrets at rest: where they are kept, how they are read, and how their keys change."""
