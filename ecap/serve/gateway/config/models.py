from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from ecap.config.layers import values
from ecap.serve.endpoints.models import Model, Text

# PostgreSQL's bigint, with room to count on.
_MOST = 2**53
Key = Annotated[str, StringConstraints(min_length=1, max_length=300)]


def _value(value: Any) -> Any:
    said = values.problem(value)
    if said is not None:
        raise ValueError(said)
    return value


Value = Annotated[Any, AfterValidator(_value)]
"""What any setting's value may be; the wire to the hub carries nothing else."""
Version = Annotated[int, Field(ge=1, le=_MOST)]


class SettingsQuery(Model):
    prefix: str = Field("", max_length=300, description="a section or a setting; none: all")


class Hidden(Model):
    source: str
    place: str
    value: Any = None


class Setting(Model):
    key: str
    value: Any = Field(None, description="as it counts; secrets stay hidden")
    source: str = Field(description="which source gives it")
    place: str | None = Field(None, description="where there")
    source_version: str | None = Field(None, description="what the source calls this state")
    since_version: int | None = Field(None, description="since when it has this value and source")
    live: bool = Field(description="whether it can change while ECAP runs")
    fixed: str | None = Field(None, description="why it cannot")
    secret: bool
    meaning: str | None = None
    expires_at: datetime | None = Field(None, description="of an override; it ends by itself then")
    hides: tuple[Hidden, ...] = Field(description="what other sources say, nearest first")


class Settings(Model):
    version: int
    settings: tuple[Setting, ...]


class CanaryWish(Model):
    """Some members run it first: those named, or a share of all, at least one."""

    members: tuple[Key, ...] = Field((), max_length=100)
    share: float = Field(0.0, ge=0, le=1, description="used when no member is named")
    bake_s: float = Field(10.0, ge=0, le=60, description="the others follow after this")
    max_error_ratio: float = Field(0.05, ge=0, le=1, description="more undoes the change")
    min_requests: int = Field(20, ge=0, le=_MOST, description="fewer say nothing")


class NewValue(Model):
    value: Value = Field(description="secrets as references: vault:path#key, k8s:name/key, enc:...")
    reason: Text
    expires_s: float | None = Field(
        None, gt=0, le=10 * 365 * 86400, description="the override ends by itself after this"
    )
    canary: CanaryWish | None = None


class Edits(Model):
    """Several settings in one change: all of them or none."""

    sets: dict[Key, Value] = Field(
        {}, max_length=200, description="secrets as references, as of one setting"
    )
    unsets: tuple[Key, ...] = Field((), max_length=200, description="what was set, to be removed")
    reason: Text
    expires_s: float | None = Field(
        None, gt=0, le=10 * 365 * 86400, description="the overrides end by themselves after this"
    )
    canary: CanaryWish | None = None
    dry_run: bool = Field(False, description="members are asked as well, and nobody runs it")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.sets and not self.unsets:
            raise ValueError("name at least one setting in sets or unsets")
        if self.sets.keys() & set(self.unsets):
            raise ValueError("a setting is in both sets and unsets")
        return self


class UnsetQuery(Model):
    reason: Text


class RollbackWish(Model):
    version: Version = Field(description="what operators had set then is to count again")
    reason: Text


class Trial(Model):
    sets: dict[Key, Value] = Field({}, max_length=200)
    unsets: tuple[Key, ...] = Field((), max_length=200)


class Difference(Model):
    """A side that does not have the setting is absent."""

    left: Any = None
    right: Any = None


class Judged(Model):
    valid: bool
    problem: str | None = None
    changes: dict[str, Difference] = Field(description="what would change, by setting")


class Applied(Model):
    """Every member runs `version`, but those in `behind`. Of a dry run, what runs now, and
    what would change."""

    version: int
    changed: tuple[str, ...]
    behind: tuple[str, ...] = Field(
        description="do not run it yet: they are silent, and take it if they come back"
    )
    skipped: tuple[str, ...] = Field(description="what a rollback cannot restore")


class HistoryQuery(Model):
    limit: int = Field(20, ge=1, le=100, description="entries, the newest first")
    before: int | None = Field(None, ge=1, le=_MOST, description="`next` of the page before")


class HistoryEntry(Model):
    seq: int
    version: int
    what: Literal["booted", "proposed", "refused", "canary", "applied", "rolled-back", "settled"]
    at: datetime
    author: str
    reason: str
    why: str | None = Field(None, description="of a refusal or what was undone")
    changes: dict[str, Difference]
    undoes: int | None = Field(None, description="the version that was undone")
    members: dict[str, int] = Field(description="who ran what when it was settled")
    hash: str = Field(description="over this entry and the hash of the one before")


class History(Model):
    entries: tuple[HistoryEntry, ...]
    next: int | None = Field(None, description="absent on the last page")


class DiffQuery(Model):
    left: Version
    right: Version


class Diff(Model):
    changes: dict[str, Difference]


class Membership(Model):
    member: str
    kind: str
    running: int = Field(description="0: what it loaded by itself")
    state: Literal["current", "behind", "refused", "silent"]
    silent_s: float
    refusal: str | None = None
    prefixes: tuple[str, ...] = Field(description="what it wants to hear of")


class Members(Model):
    version: int = Field(description="what they are to run")
    members: tuple[Membership, ...]


class SourceState(Model):
    source: str
    reachable: bool
    last_change: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    lease_left_s: float | None = None
    refused: str | None = Field(None, description="why what it says now does not count")


class KeyringState(Model):
    primary: str = Field(description="the key that encrypts, by a name that says nothing of it")
    keys: tuple[str, ...]
    age_s: float | None = Field(None, description="of the key that encrypts")
    too_old: bool


class Sources(Model):
    sources: tuple[SourceState, ...]
    keyring: KeyringState
    keyring_error: str | None = None
