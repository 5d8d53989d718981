"""What one replica owns, opens and follows."""
