"""The first administrator, from `auth.admin_email` and `auth.admin_password`."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import SecretStr

from ecap import logs
from ecap.config.settings.services.auth import Auth
from ecap.domain.accounts.roles import Role
from ecap.errors import Conflict
from ecap.serve.auth.acceptance import normalised
from ecap.serve.auth.passwords import Passwords
from ecap.serve.auth.store import Accounts

_log = logs.get("ecap.auth")
_ROLES: tuple[Role, ...] = ("admin", "customer")


class FirstAdministrator:
    """Created before the first registration or log in, so that nobody takes the e-mail;
    not at the start, as PostgreSQL may be away then. An account that has the e-mail
    already stays as it is."""

    def __init__(self, accounts: Accounts, passwords: Passwords, settings: Auth) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._email, self._password = settings.admin_email, settings.admin_password
        self._done = self._email is None or self._password is None

    def reconfigure(self, settings: Auth) -> None:
        """A new e-mail is a new account; the one before stays, with its roles."""
        if (settings.admin_email, settings.admin_password) != (self._email, self._password):
            self._email, self._password = settings.admin_email, settings.admin_password
            self._done = self._email is None or self._password is None

    async def ensure(self) -> None:
        """Raises Unavailable."""
        if self._done:
            return
        assert self._email is not None
        assert self._password is not None
        if await self._accounts.by_email(self._email) is None:
            await self._create(self._email, self._password)
        self._done = True

    async def _create(self, email: str, password: SecretStr) -> None:
        hashed = await self._passwords.hash(normalised(password))
        try:
            await self._accounts.add(
                email,
                hashed,
                "Administrator",
                roles=_ROLES,
                now=datetime.now(UTC),
                by_itself=True,
            )
        except Conflict:
            _log.info("another replica created the first administrator")
            return
        _log.info("created the first administrator")
