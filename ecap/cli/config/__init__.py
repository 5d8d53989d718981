"""`ecap config`."""
