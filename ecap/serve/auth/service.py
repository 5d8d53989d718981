"""What an auth replica holds, and what takes more than one of its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import SecretStr

from ecap.clients.postgres import Pool
from ecap.config.member.follows import Follow
from ecap.config.secrets.keyring.live import open_keyring
from ecap.config.settings.services.auth import Auth as Settings
from ecap.domain.accounts.roles import Role
from ecap.domain.events.audit import AuditEntry
from ecap.errors import Forbidden, Invalid, Overloaded, Unauthenticated
from ecap.mesh import Principal
from ecap.serve.auth import audit
from ecap.serve.auth.acceptance import acceptable, normalised
from ecap.serve.auth.administrator import FirstAdministrator
from ecap.serve.auth.failures import Failures
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
from ecap.serve.auth.sessions import Grant, Sessions
from ecap.serve.auth.standing import require_standing
from ecap.serve.auth.store import Accounts, Known
from ecap.serve.edge.revocations import LONGEST_ACCESS, LONGEST_SKEW, Revocations
from ecap.serve.replica.background import background
from ecap.serve.replica.process import Process

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
    pool: Pool
    revocations: Revocations
    trust_s: Callable[[], float]
    failures: Failures
    people: People

    async def reconfigure(self, settings: Settings) -> None:
        await self.passwords.reconfigure(settings)
        self.keys.reconfigure(life_s=settings.signing_key_ttl_s)
        self.sessions.reconfigure(settings)
        self.administrator.reconfigure(settings)
        self.guesses.reconfigure(settings)

    async def register(self, body: Registration, *, now: datetime) -> Registered:
        """Raises Invalid for a bad password, Conflict when the e-mail is taken."""
        await self.administrator.ensure()
        known = await self._add(body, _NEW, now=now)
        tokens = await self._tokens(known.account, epoch=known.epoch, now=now)
        return Registered(account=known.account, tokens=tokens)

    async def add(self, body: NewAccount, *, now: datetime) -> Account:
        """Raises as `register` does."""
        await self.administrator.ensure()
        return (await self._add(body, body.roles, now=now)).account

    async def log_in(self, body: Credentials, *, address: str, now: datetime) -> Tokens:
        """Raises Unauthenticated, after the same work whether the account exists or
        not, RateLimited after many of these, or Forbidden when it is disabled."""
        await self.administrator.ensure()
        password = normalised(body.password)
        known = await self.accounts.by_email(body.email)
        owner = None if known is None else known.account.id
        keys = await self.guesses.begin(body.email, address, owner=owner)
        if not await self._is_right(keys, password, known and known.password_hash):
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
        return await self._tokens(known.account, epoch=known.epoch, now=now, told=told)

    async def refresh(self, token: SecretStr, *, now: datetime) -> Tokens:
        """Raises Unauthenticated."""
        account, grant = await self.sessions.rotate(token.get_secret_value(), now=now)
        return await self._answer(account, grant, now=now)

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
            await self.failures.of_account(user_id, "password", now=now, action="password.changed")
            raise Invalid("this is not the present password", field="current_password")
        hashed = await self.passwords.hash(password)
        epoch = await self.accounts.set_password(
            user_id, hashed, checked=known.password_hash, now=now
        )
        return await self._tokens(known.account, epoch=epoch, now=now)

    async def require_standing(self, principal: Principal, scope: str) -> None:
        """Before every write. Raises Unauthenticated, Forbidden, or Unavailable when this
        replica has not heard for too long whose access has ended."""
        self.revocations.require(principal, trust_s=self.trust_s())
        await require_standing(self.pool, principal, scope)

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
    ) -> Known:
        password = acceptable(
            body.password, email=body.email, name=body.display_name, field="password"
        )
        hashed = await self.passwords.hash(password)
        return await self.accounts.add(body.email, hashed, body.display_name, roles=roles, now=now)

    async def _tokens(
        self, account: Account, *, epoch: int, now: datetime, told: AuditEntry | None = None
    ) -> Tokens:
        grant = await self.sessions.open(account.id, epoch=epoch, now=now, told=told)
        return await self._answer(account, grant, now=now)

    async def _answer(self, account: Account, grant: Grant, *, now: datetime) -> Tokens:
        return Tokens(
            access_token=await self.access.issue(account.id, account.roles, grant, now=now),
            expires_in=round((grant.access_until - now).total_seconds()),
            refresh_token=grant.refresh_token,
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
            token_life_s=(LONGEST_ACCESS + LONGEST_SKEW).total_seconds(),
        )
        process.verifier.ask(keys.jwks)
        people = People(process.pool, ring)
        accounts = Accounts(process.pool, people)
        administrator = FirstAdministrator(accounts, passwords, settings)
        process.checks["administrator"] = administrator.ensure
        auth = Auth(
            accounts=accounts,
            sessions=Sessions(process.pool, people, settings),
            passwords=passwords,
            keys=keys,
            access=AccessTokens(keys, settings),
            administrator=administrator,
            guesses=Guesses(process.pool, people, settings),
            pool=process.pool,
            revocations=process.revocations,
            trust_s=lambda: process.settings.auth.revocation_trust_s,
            failures=Failures(process.pool, people),
            people=people,
        )
        process.follows.append(Follow("auth", Settings, auth.reconfigure))
        async with background(auth.sessions.erase(), name="auth-erase"):
            yield auth
