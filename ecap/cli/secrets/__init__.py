"""`ecap secrets`."""
