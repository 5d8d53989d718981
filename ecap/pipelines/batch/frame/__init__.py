"""What every job stands on: its arguments, the events that were applied, Ray Data under it."""
