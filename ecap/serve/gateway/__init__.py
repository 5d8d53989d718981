"""What belongs to no single service: the index, documentation, health of the whole."""
