"""ECAP on one machine: embedded servers, one Ray node, one command that owns them all."""
