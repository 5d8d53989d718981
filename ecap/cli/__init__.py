"""The `ecap` command."""
