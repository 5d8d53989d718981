"""What is written to the log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ecap.config.settings.section import AT_START, Section


class Log(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="the least important lines that are written"
    )
    style: Annotated[Literal["auto", "json", "terminal"], AT_START] = Field(
        "auto", description="auto: readable on a terminal, JSON lines elsewhere"
    )
