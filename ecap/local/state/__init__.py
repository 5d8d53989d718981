"""What is kept of one local ECAP, and what runs of it."""
