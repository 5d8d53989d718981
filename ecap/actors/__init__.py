"""Plain classes with start, stop and health; their Ray bindings are in `ecap.runtime`."""
