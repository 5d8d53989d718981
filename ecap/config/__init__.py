"""Typed configuration: layers, references, validation."""

from ecap.config.loading import load
from ecap.config.settings import Settings

__all__ = ["Settings", "load"]
