"""The eight services and the edge that every replica of them runs."""
