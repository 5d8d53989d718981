"""What every stage has written down, and where two of them differ."""
