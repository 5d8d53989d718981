"""ECAP: an async, actor-based service mesh runtime for e-commerce analytics."""

__version__ = "0.1.0"
