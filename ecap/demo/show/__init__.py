"""The run and its end, for people and programs."""
