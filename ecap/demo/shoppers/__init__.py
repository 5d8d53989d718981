"""Who comes, what they do, and what they were told."""
