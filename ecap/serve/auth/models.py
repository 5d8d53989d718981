from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr, StringConstraints, field_validator

from ecap.domain.accounts.roles import Role
from ecap.serve.endpoints.models import Model, Text
from ecap.serve.endpoints.pages import PageQuery

# The pattern of HTML's <input type="email">, and a dot in the domain.
Email = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$",
        max_length=254,
    ),
]
# In NFC it has 10 to 128; as it is sent it may be longer.
NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=10,
        max_length=512,
        description="10 to 128 characters, none of the commonest, not the e-mail or the name",
    ),
]
GivenPassword = Annotated[SecretStr, Field(min_length=1, max_length=512)]
RefreshToken = Annotated[SecretStr, Field(min_length=1, max_length=128)]


class Registration(Model):
    email: Email
    password: NewPassword
    display_name: Text


class Credentials(Model):
    email: Email
    password: GivenPassword


class Refresh(Model):
    refresh_token: RefreshToken


class PasswordChange(Model):
    current_password: GivenPassword
    new_password: NewPassword


class Tokens(Model):
    """The members of RFC 6749, section 5.1."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  a type
    expires_in: int = Field(description="seconds until the access token expires")
    refresh_token: str = Field(description="for one use; the answer to it has the next")
    scope: str


class NewAccount(Model):
    email: Email
    password: NewPassword
    display_name: Text
    roles: Annotated[frozenset[Role], Field(min_length=1)]


class Account(Model):
    id: UUID
    email: str
    display_name: str
    roles: tuple[Role, ...]
    disabled: bool
    version: int
    created_at: datetime


class Registered(Model):
    account: Account
    tokens: Tokens


class Session(Model):
    """A log in and what it was refreshed to."""

    id: UUID
    created_at: datetime
    refreshed_at: datetime
    expires_at: datetime = Field(description="unless it is refreshed before")
    ends_at: datetime = Field(description="however often it is refreshed")
    current: bool = Field(False, description="the one that asks")


class WhoseSessions(Model):
    user_id: UUID | None = Field(None, description="of somebody else, with `auth:admin`")


class SessionQuery(WhoseSessions, PageQuery):
    pass


class AccountChange(Model):
    """Only what is given changes. Disabling ends all sessions."""

    roles: Annotated[frozenset[Role], Field(min_length=1)] | None = None
    disabled: bool | None = None


class AccountQuery(PageQuery):
    email: Email | None = None


class EmailsQuery(Model):
    ids: str = Field(
        min_length=1, max_length=3700, description="ids of accounts, with commas in between"
    )

    @field_validator("ids")
    @classmethod
    def _are_ids(cls, ids: str) -> str:
        for one in ids.split(","):
            UUID(one)
        return ids

    @property
    def user_ids(self) -> list[UUID]:
        return [UUID(one) for one in self.ids.split(",")]


class Emails(Model):
    emails: dict[UUID, str] = Field(description="of those that exist")


class KeySet(Model):
    """RFC 7517."""

    keys: tuple[dict[str, Any], ...]
