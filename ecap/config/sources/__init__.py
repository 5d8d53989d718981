"""Where layers come from, read once at start and then watched."""
