"""What an auth replica holds, and what takes more than one of its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import SecretStr

from ecap.config.member.follows import Follow
from ecap.config.secrets.keyring.live import open_keyring
from ecap.config.settings.services.auth import Auth as Settings
from ecap.domain.accounts.roles import Role
from ecap.errors import Forbidden, Invalid, Overloaded, Unauthenticated
from ecap.serve.auth.acceptance import acceptable, normalised
from ecap.serve.auth.administrator import FirstAdministrator
from ecap.serve.auth.guesses import Guesses, Try
from ecap.serve.auth.issuer import AccessTokens, scope_of
from ecap.serve.auth.keys import SigningKeys
from ecap.serve.auth.models import (
    Account,
    Credentials,
    NewAccount,
    Registered,
    Registration,
    Tokens,
)
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
    guesses: Guesses

    async def reconfigure(self, settings: Settings) -> None:
        await self.passwords.reconfigure(settings)
        self.keys.reconfigure(life_s=settings.signing_key_ttl_s)
        self.sessions.reconfigure(ttl_s=settings.refresh_ttl_s)
        self.access.reconfigure(ttl_s=settings.access_ttl_s)
        self.administrator.reconfigure(settings)
        self.guesses.reconfigure(settings)

    async def register(self, body: Registration, *, now: datetime) -> Registered:
        """Raises Invalid for a bad password, Conflict when the e-mail is taken."""
        await self.administrator.ensure()
        account = await self._add(body, _NEW, now=now)
        return Registered(account=account, tokens=await self._tokens(account, now=now))

    async def add(self, body: NewAccount, *, now: datetime) -> Account:
        """Raises as `register` does."""
        await self.administrator.ensure()
        return await self._add(body, body.roles, now=now)

    async def log_in(self, body: Credentials, *, address: str, now: datetime) -> Tokens:
        """Raises Unauthenticated, after the same work whether the account exists or
        not, RateLimited after many of these, or Forbidden when it is disabled."""
        await self.administrator.ensure()
        password = normalised(body.password)
        known = await self.accounts.by_email(body.email)
        owner = None if known is None else known.account.id
        keys = await self.guesses.begin(body.email, address, owner=owner)
        if not await self._is_right(keys, password, known and known.password_hash):
            raise Unauthenticated("e-mail or password is wrong")
        assert known is not None
        if known.account.disabled:
            raise Forbidden("the account is disabled")
        if self.passwords.is_outdated(known.password_hash):
            hashed = await self.passwords.hash(password)
            await self.accounts.rehash(known.account.id, hashed, checked=known.password_hash)
        return await self._tokens(known.account, now=now)

    async def refresh(self, token: SecretStr, *, now: datetime) -> Tokens:
        """Raises Unauthenticated."""
        rotated = await self.sessions.rotate(token.get_secret_value(), now=now)
        return await self._answer(rotated.account, rotated.token, now=now)

    async def change_password(
        self, user_id: UUID, current: SecretStr, new: SecretStr, *, address: str, now: datetime
    ) -> Tokens:
        """Ends all sessions and begins one. Raises Invalid, RateLimited after many wrong ones."""
        known = await self.accounts.known(user_id)
        email = known.account.email
        password = acceptable(
            new, email=email, name=known.account.display_name, field="new_password"
        )
        # Who found an open session must not find out the password with it.
        keys = await self.guesses.begin(email, address, owner=user_id)
        if not await self._is_right(keys, normalised(current), known.password_hash):
            raise Invalid("this is not the present password", field="current_password")
        hashed = await self.passwords.hash(password)
        await self.accounts.set_password(user_id, hashed, checked=known.password_hash, now=now)
        return await self._tokens(known.account, now=now)

    async def _is_right(self, keys: Try, password: str, hashed: str | None) -> bool:
        try:
            right = await self.passwords.matches(password, hashed)
        except Overloaded:
            await self.guesses.withdraw(keys)
            raise
        if right:
            await self.guesses.right(keys)
        return right

    async def _add(
        self, body: Registration | NewAccount, roles: Collection[Role], *, now: datetime
    ) -> Account:
        password = acceptable(
            body.password, email=body.email, name=body.display_name, field="password"
        )
        hashed = await self.passwords.hash(password)
        return await self.accounts.add(body.email, hashed, body.display_name, roles=roles, now=now)

    async def _tokens(self, account: Account, *, now: datetime) -> Tokens:
        return await self._answer(account, await self.sessions.open(account.id, now=now), now=now)

    async def _answer(self, account: Account, refresh_token: str, *, now: datetime) -> Tokens:
        return Tokens(
            access_token=await self.access.issue(account.id, account.roles, now=now),
            expires_in=self.access.ttl_s,
            refresh_token=refresh_token,
            scope=scope_of(account.roles),
        )


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
            guesses=Guesses(process.pool, people, settings),
        )
        process.follows.append(Follow("auth", Settings, auth.reconfigure))
        yield auth
