"""The Kubernetes API that ConfigMaps and Secrets come from."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from ecap.config.settings.section import Section


class Kubernetes(Section):
    enabled: bool = Field(False, description="read ConfigMaps and Secrets through the API")
    kubeconfig: Path | None = Field(None, description="unset: the pod's service account")
    context: str | None = Field(None, description="context of the kubeconfig; unset: its current")
    namespace: str = Field("ecap", description="where the ConfigMaps and Secrets are")
    label_selector: str = Field(
        "ecap.io/config=true", description="ConfigMaps and Secrets that hold settings"
    )
    watch_timeout_s: int = Field(300, ge=1, description="a watch is renewed after this")
    backoff_s: float = Field(0.5, gt=0, description="first wait after a failure; doubles")
    backoff_max_s: float = Field(30.0, gt=0, description="longest wait after a failure")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.backoff_s > self.backoff_max_s:
            raise ValueError("backoff_s is above backoff_max_s")
        return self
