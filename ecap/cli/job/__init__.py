"""`ecap job`."""
