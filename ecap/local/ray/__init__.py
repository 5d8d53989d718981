"""The one Ray node of a local ECAP."""
