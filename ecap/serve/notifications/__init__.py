"""What customers were told about their orders, and what became of each message."""
