"""Typed configuration: layers, references, validation."""

from ecap.config.settings.tree import Settings
from ecap.config.sources.startup import load

__all__ = ["Settings", "load"]
