"""Sections of the systems that ECAP connects to."""
