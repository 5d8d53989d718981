"""A process that runs configuration."""
