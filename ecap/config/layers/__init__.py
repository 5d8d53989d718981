"""From what sources say to a validated tree, with where each value came from."""
