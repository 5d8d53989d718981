"""Roles, and the scopes each of them carries.

A scope that ends in a section, as `config:write:fraud`, allows the same as the one without
it, but only for settings at or below that section.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

Role = Literal["customer", "support", "marketer", "fraud_analyst", "operator", "admin", "analyst"]

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
_SUPPORT = _CUSTOMER | {
    "orders:read-all",
    "orders:write-all",
    "users:read-all",
    "notifications:read-all",
    "notifications:write-all",
}
_MARKETER = _CUSTOMER | {"analytics:read"}
_FRAUD_ANALYST = _CUSTOMER | {
    "fraud:read",
    "fraud:review",
    "orders:read-all",
    "orders:write-all",
    "users:read-all",
    "notifications:read-all",
    "config:read",
    "config:write:fraud",
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
    _SUPPORT
    | _MARKETER
    | _FRAUD_ANALYST
    | _OPERATOR
    | {"catalog:write", "users:write-all", "auth:admin", "fraud:score", "limits:write"}
)

ROLE_SCOPES: Mapping[Role, frozenset[str]] = {
    "customer": _CUSTOMER,
    "support": _SUPPORT,
    "marketer": _MARKETER,
    "fraud_analyst": _FRAUD_ANALYST,
    "operator": _OPERATOR,
    "admin": _ADMIN,
    # Of accounts from before the two were told apart.
    "analyst": _MARKETER | _FRAUD_ANALYST,
}


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    return frozenset().union(*(ROLE_SCOPES[role] for role in roles))


def table() -> str:
    """Roles and scopes in Markdown, as docs/operations.md has them."""
    roles = list(ROLE_SCOPES)
    lines = [
        _row(["Scope", *(f"`{role}`" for role in roles)]),
        _row(["---", *("---" for _ in roles)]),
    ]
    for scope in sorted(scopes_of(roles)):
        marks = ("x" if scope in ROLE_SCOPES[role] else "" for role in roles)
        lines.append(_row([f"`{scope}`", *marks]))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
