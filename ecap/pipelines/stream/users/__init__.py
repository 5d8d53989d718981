"""Profiles, from registrations."""
