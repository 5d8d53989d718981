"""Child processes, their ports and their memory."""
