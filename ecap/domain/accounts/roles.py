"""Roles, and the scopes each of them carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

Role = Literal["customer", "analyst", "operator", "admin"]

_CUSTOMER = frozenset(
    {
        "profile:read",
        "profile:write",
        "orders:read",
        "orders:write",
        "notifications:read",
        "events:write",
    }
)
_ANALYST = _CUSTOMER | {
    "analytics:read",
    "fraud:read",
    "fraud:review",
    "orders:read-all",
    "orders:write-all",
    "users:read-all",
    "notifications:read-all",
}
_OPERATOR = _CUSTOMER | {
    "analytics:read",
    "fraud:read",
    "orders:read-all",
    "orders:write-all",
    "config:read",
    "config:write",
    "metrics:read",
    "audit:read",
    "stream:read",
    "notifications:read-all",
    "notifications:write-all",
}
_ADMIN = (
    _ANALYST
    | _OPERATOR
    | {"catalog:write", "users:write-all", "auth:admin", "fraud:score", "limits:write"}
)

ROLE_SCOPES: Mapping[Role, frozenset[str]] = {
    "customer": _CUSTOMER,
    "analyst": _ANALYST,
    "operator": _OPERATOR,
    "admin": _ADMIN,
}


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    return frozenset().union(*(ROLE_SCOPES[role] for role in roles))
