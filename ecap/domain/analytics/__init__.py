"""What the figures mean, on plain numbers."""
