"""The security log."""

from __future__ import annotations

from pydantic import Field

from ecap.config.settings.section import Section

_DAY_S = 86400


class Audit(Section):
    # Below 30 days the database itself refuses to forget: `audit.keep` in audit/0001_entries.sql.
    retention_s: int = Field(
        400 * _DAY_S,
        ge=30 * _DAY_S,
        le=3660 * _DAY_S,
        description="how long entries of the security log are kept",
    )
