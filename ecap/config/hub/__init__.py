"""The one place that decides which configuration runs."""
