from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from ecap.serve.endpoints.models import Model, Text

MAX_ADDRESSES = 20

OptionalText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Phone = Annotated[
    str,
    StringConstraints(pattern=r"^(\+[1-9][0-9]{6,14})?$"),
    Field(description="E.164, such as +4930123456, or empty"),
]
Locale = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$"),
    Field(description="language and perhaps region, such as en or pt-BR"),
]
Country = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(description="ISO 3166-1 alpha-2")
]
PostalCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)]


class Profile(Model):
    user_id: UUID
    email: str
    display_name: str
    phone: str
    locale: str
    version: int
    registered_at: datetime
    updated_at: datetime


class ProfileChange(Model):
    """Only what is given changes. The e-mail belongs to the account."""

    display_name: Text | None = None
    phone: Phone | None = None
    locale: Locale | None = None


class NewAddress(Model):
    label: OptionalText = ""
    recipient: Text
    line1: Text
    line2: OptionalText = ""
    city: Text
    region: OptionalText = ""
    postal_code: PostalCode
    country: Country
    is_default: bool = False


class AddressChange(Model):
    """Only what is given changes."""

    label: OptionalText | None = None
    recipient: Text | None = None
    line1: Text | None = None
    line2: OptionalText | None = None
    city: Text | None = None
    region: OptionalText | None = None
    postal_code: PostalCode | None = None
    country: Country | None = None
    is_default: bool | None = None


class Address(Model):
    id: UUID
    label: str
    recipient: str
    line1: str
    line2: str
    city: str
    region: str
    postal_code: str
    country: str
    is_default: bool = Field(description="at most one address of a user is")
    version: int
    created_at: datetime
    updated_at: datetime


class Addresses(Model):
    items: Annotated[tuple[Address, ...], Field(max_length=MAX_ADDRESSES)]
