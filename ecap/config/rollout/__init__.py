"""Bringing a decided version to the members: ask, try, commit, and who runs what."""
