"""What a plan costs a month."""
