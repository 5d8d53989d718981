"""What every replica does to every request."""
