"""What happened: one envelope, versioned payloads by noun, and the topics they travel on."""
