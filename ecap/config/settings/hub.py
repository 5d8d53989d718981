"""How a change of configuration is pushed."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ecap.config.settings.section import Section


class Hub(Section):
    """How a change reaches every member."""

    hold_s: float = Field(
        2.0, ge=0.1, le=30, description="a member is answered at least this often"
    )
    stale_after_s: float = Field(
        10.0, ge=1, le=300, description="a member silent for this long is not waited for"
    )
    callback_timeout_s: float = Field(
        5.0, ge=0.5, le=60, description="for one subscriber to take a change"
    )
    retry_s: float = Field(1.0, ge=0.1, le=60, description="between attempts of a member that lags")
    probation_s: float = Field(
        10.0,
        ge=3,
        le=10,
        description="a member that turns unwell this soon after a change goes back by itself",
    )
    debounce_s: float = Field(0.02, ge=0, le=10, description="quiet time after a file event")
    file_poll_s: float = Field(
        5.0, ge=0.05, le=3600, description="files are looked at even without an event"
    )
    file_settle_s: float = Field(
        3.0,
        ge=0,
        le=60,
        description="a file that says less than before, as an empty one, or ends within a line"
        " counts when it has been left alone for this long: it may be half written",
    )

    @model_validator(mode="after")
    def _patient(self) -> Self:
        if self.stale_after_s <= self.hold_s + self.callback_timeout_s:
            raise ValueError("stale_after_s has to exceed hold_s and callback_timeout_s together")
        return self
