"""What a role may do, as the documents have it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from ecap.domain.accounts.roles import ROLE_SCOPES, Role, scopes_of, table
from ecap.mesh.identity import Principal


def test_the_documents_have_the_table() -> None:
    """After a change print `table()` of ecap.domain.accounts.roles."""
    assert table() in (Path(__file__).parents[3] / "docs/operations.md").read_text()


def test_every_role_is_defined() -> None:
    assert set(ROLE_SCOPES) == set(get_args(Role))


def test_an_analyst_is_a_marketer_and_a_fraud_analyst() -> None:
    assert scopes_of(["analyst"]) == scopes_of(["marketer", "fraud_analyst"])


def test_an_administrator_may_what_anybody_may() -> None:
    assert scopes_of(["admin"]) == scopes_of(ROLE_SCOPES)


def test_a_scope_may_be_for_a_section() -> None:
    def sections(*scopes: str) -> tuple[str, ...]:
        return Principal("s", "user", scopes=frozenset(scopes)).sections("config:write")

    assert sections("config:write", "config:write:fraud") == ("",)
    assert sections("config:write:fraud", "config:write:orders") == ("fraud", "orders")
    assert sections("config:read", "config:writer") == ()
