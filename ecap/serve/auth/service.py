"""What an auth replica holds, and what takes more than one of its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import SecretStr

from ecap.config.member.follows import Follow
from ecap.config.secrets.keyring.live import open_keyring
from ecap.config.settings.services.auth import Auth as Settings
from ecap.domain.accounts.roles import Role
from ecap.domain.events.audit import AuditEntry
from ecap.errors import Forbidden, Invalid, Unauthenticated
from ecap.serve.auth import audit
from ecap.serve.auth.administrator import FirstAdministrator
from ecap.serve.auth.failures import Failures
from ecap.serve.auth.issuer import AccessTokens, scope_of
from ecap.serve.auth.keys import SigningKeys
from ecap.serve.auth.models import Account, Credentials, Registered, Registration, Tokens
from ecap.serve.auth.passwords import Passwords, open_passwords
from ecap.serve.auth.people import People
from ecap.serve.auth.sessions import Sessions
from ecap.serve.auth.store import Accounts
from ecap.serve.replica.process import Process

# The longest `auth.access_ttl_s` and `auth.clock_skew_s` together.
_LONGEST_TOKEN_S = 86400.0 + 300.0
_NEW: tuple[Role, ...] = ("customer",)


@dataclass(frozen=True)
class Auth:
    accounts: Accounts
    sessions: Sessions
    passwords: Passwords
    keys: SigningKeys
    access: AccessTokens
    administrator: FirstAdministrator
    failures: Failures
    people: People

    async def reconfigure(self, settings: Settings) -> None:
        await self.passwords.reconfigure(settings)
        self.keys.reconfigure(life_s=settings.signing_key_ttl_s)
        self.sessions.reconfigure(ttl_s=settings.refresh_ttl_s)
        self.access.reconfigure(ttl_s=settings.access_ttl_s)
        self.administrator.reconfigure(settings)

    async def register(self, body: Registration, *, now: datetime) -> Registered:
        """Raises Invalid for a bad password, Conflict when the e-mail is taken."""
        await self.administrator.ensure()
        password = _acceptable(body.password, email=body.email, field="password")
        hashed = await self.passwords.hash(password)
        account = await self.accounts.add(
            body.email, hashed, body.display_name, roles=_NEW, now=now
        )
        return Registered(account=account, tokens=await self._tokens(account, now=now))

    async def log_in(self, body: Credentials, *, now: datetime) -> Tokens:
        """Raises Unauthenticated, after the same work whether the account exists or
        not, or Forbidden when it is disabled."""
        await self.administrator.ensure()
        password = body.password.get_secret_value()
        known = await self.accounts.by_email(body.email)
        if not await self.passwords.matches(password, known and known.password_hash):
            if known is None:
                await self.failures.of_nobody(body.email, now=now)
            else:
                await self.failures.of_account(known.account.id, "password", now=now)
            raise Unauthenticated("e-mail or password is wrong")
        assert known is not None
        if known.account.disabled:
            await self.failures.of_account(known.account.id, "disabled", now=now)
            raise Forbidden("the account is disabled")
        if self.passwords.is_outdated(known.password_hash):
            hashed = await self.passwords.hash(password)
            await self.accounts.rehash(known.account.id, hashed, checked=known.password_hash)
        user_id = known.account.id
        told = audit.told("login", subject=user_id, actor=user_id)
        return await self._tokens(known.account, now=now, told=told)

    async def refresh(self, token: SecretStr, *, now: datetime) -> Tokens:
        """Raises Unauthenticated."""
        rotated = await self.sessions.rotate(token.get_secret_value(), now=now)
        return await self._answer(rotated.account, rotated.token, now=now)

    async def change_password(
        self, user_id: UUID, current: SecretStr, new: SecretStr, *, now: datetime
    ) -> Tokens:
        """Ends all sessions and begins one. Raises Invalid."""
        known = await self.accounts.known(user_id)
        password = _acceptable(new, email=known.account.email, field="new_password")
        if not await self.passwords.matches(current.get_secret_value(), known.password_hash):
            await self.failures.of_account(user_id, "password", now=now, action="password.changed")
            raise Invalid("this is not the present password", field="current_password")
        hashed = await self.passwords.hash(password)
        await self.accounts.set_password(user_id, hashed, checked=known.password_hash, now=now)
        return await self._tokens(known.account, now=now)

    async def _tokens(
        self, account: Account, *, now: datetime, told: AuditEntry | None = None
    ) -> Tokens:
        token = await self.sessions.open(account.id, now=now, told=told)
        return await self._answer(account, token, now=now)

    async def _answer(self, account: Account, refresh_token: str, *, now: datetime) -> Tokens:
        return Tokens(
            access_token=await self.access.issue(account.id, account.roles, now=now),
            expires_in=self.access.ttl_s,
            refresh_token=refresh_token,
            scope=scope_of(account.roles),
        )


def _acceptable(password: SecretStr, *, email: str, field: str) -> str:
    text = password.get_secret_value()
    if text.casefold() == email.casefold():
        raise Invalid("the password must not be the e-mail", field=field)
    return text


@asynccontextmanager
async def opened(process: Process) -> AsyncIterator[Auth]:
    """Raises Misconfigured without a keyring."""
    settings = process.settings.auth
    async with open_keyring(process.settings) as ring, open_passwords(settings) as passwords:
        keys = SigningKeys(
            process.pool,
            ring,
            life_s=settings.signing_key_ttl_s,
            # Whatever `auth.access_ttl_s` was when a token that is still in use was issued.
            token_life_s=_LONGEST_TOKEN_S,
        )
        process.verifier.ask(keys.jwks)
        people = People(process.pool, ring)
        accounts = Accounts(process.pool, people)
        administrator = FirstAdministrator(accounts, passwords, settings)
        process.checks["administrator"] = administrator.ensure
        auth = Auth(
            accounts=accounts,
            sessions=Sessions(process.pool, people, ttl_s=settings.refresh_ttl_s),
            passwords=passwords,
            keys=keys,
            access=AccessTokens(keys, settings),
            administrator=administrator,
            failures=Failures(process.pool, people),
            people=people,
        )
        process.follows.append(Follow("auth", Settings, auth.reconfigure))
        yield auth
