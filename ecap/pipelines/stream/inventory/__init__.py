"""What orders sell and how much of it is left, from the catalog's announcements."""
