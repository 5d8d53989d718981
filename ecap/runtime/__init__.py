"""Bindings that must see services, pipelines and actors at once; here they are given to Ray."""
