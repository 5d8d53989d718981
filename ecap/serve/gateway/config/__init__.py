"""Configuration for operators."""
