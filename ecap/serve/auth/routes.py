from __future__ import annotations

from uuid import UUID

from ecap.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from ecap.serve.auth.models import (
    Account,
    AccountChange,
    AccountQuery,
    Credentials,
    Emails,
    EmailsQuery,
    KeySet,
    NewAccount,
    PasswordChange,
    Refresh,
    Registered,
    Registration,
    Session,
    SessionQuery,
    Tokens,
    WhoseSessions,
)
from ecap.serve.auth.service import Auth
from ecap.serve.endpoints.pages import Page
from ecap.serve.endpoints.preconditions import IF_MATCH, IF_NONE_MATCH, required_version
from ecap.serve.endpoints.routing import Api, Call, Reply

api = Api("auth", prefix="/api/v1/auth", title="ECAP auth")
_ADMIN = "auth:admin"
_SECRET = (("cache-control", "no-store"),)


@api.post("/register", status=201, scope=None, limit="credentials", errors=(Conflict,))
async def register(call: Call[Auth], body: Registration) -> Reply[Registered]:
    """Open an account.

    Answers the account and the tokens of its first session.
    """
    return Reply(await call.state.register(body, now=call.now), headers=_SECRET)


@api.post("/login", scope=None, limit="credentials", errors=(Forbidden,))
async def log_in(call: Call[Auth], body: Credentials) -> Reply[Tokens]:
    """Log in with e-mail and password.

    After some wrong passwords an address waits, each time longer (429 with `Retry-After`).
    """
    tokens = await call.state.log_in(body, address=call.address, now=call.now)
    return Reply(tokens, headers=_SECRET)


@api.post("/refresh", scope=None, limit="credentials")
async def refresh(call: Call[Auth], body: Refresh) -> Reply[Tokens]:
    """Exchange a refresh token for new tokens.

    Each is for one use. One that comes again within `auth.refresh_grace_s` gets the same
    successor; later, a second use ends the session.
    """
    return Reply(await call.state.refresh(body.refresh_token, now=call.now), headers=_SECRET)


@api.post("/logout", status=204, scope=None)
async def log_out(call: Call[Auth], body: Refresh) -> None:
    """End the session of a refresh token.

    Its access tokens end with it, everywhere within a second.
    """
    await call.state.sessions.revoke(body.refresh_token.get_secret_value(), now=call.now)


@api.get("/jwks", scope=None)
async def get_jwks(call: Call[Auth]) -> Reply[KeySet]:
    """Get the public keys that access tokens are signed with."""
    keys = await call.state.keys.published(call.now)
    return Reply(KeySet(keys=keys), headers=(("cache-control", "public, max-age=5"),))


@api.get("/me", scope="profile:read", errors=(NotFound,))
async def get_me(call: Call[Auth]) -> Account:
    """Get the account of the caller."""
    return await call.state.accounts.account(call.user_id)


@api.post(
    "/me/password",
    scope="profile:write",
    limit="credentials",
    errors=(NotFound, Conflict),
)
async def change_password(call: Call[Auth], body: PasswordChange) -> Reply[Tokens]:
    """Change the password.

    Ends all sessions of the account, access tokens included, and begins a new one.
    """
    await call.state.require_standing(call.principal, "profile:write")
    tokens = await call.state.change_password(
        call.user_id,
        body.current_password,
        body.new_password,
        address=call.address,
        now=call.now,
    )
    return Reply(tokens, headers=_SECRET)


@api.get("/sessions", scope="profile:read", errors=(Forbidden,))
async def list_sessions(call: Call[Auth], query: SessionQuery) -> Page[Session]:
    """List the sessions of the caller, newest first."""
    found = await call.state.sessions.page(_whose(call, query), query, now=call.now)
    items = tuple(
        one.model_copy(update={"current": str(one.id) == call.principal.session})
        for one in found.items
    )
    return found.model_copy(update={"items": items})


@api.delete("/sessions", status=204, scope="profile:write", errors=(Forbidden, NotFound))
async def log_out_everywhere(call: Call[Auth], query: WhoseSessions) -> None:
    """End all sessions of the caller, this one too.

    Access tokens end with them, everywhere within a second.
    """
    whose = _whose(call, query)
    await call.state.require_standing(
        call.principal, "profile:write" if whose == call.user_id else _ADMIN
    )
    await call.state.accounts.end_sessions(whose, now=call.now)


@api.delete("/sessions/{session_id}", status=204, scope="profile:write", errors=(NotFound,))
async def end_session(call: Call[Auth], session_id: UUID) -> None:
    """End a session of the caller; with `auth:admin`, of anybody.

    Its access tokens end with it, everywhere within a second.
    """
    anybody = call.principal.has(_ADMIN)
    await call.state.require_standing(call.principal, _ADMIN if anybody else "profile:write")
    user_id = None if anybody else call.user_id
    await call.state.sessions.end(session_id, user_id=user_id, now=call.now)


@api.get("/users", scope="auth:admin")
async def list_accounts(call: Call[Auth], query: AccountQuery) -> Page[Account]:
    """List accounts, oldest first."""
    return await call.state.accounts.page(query)


@api.post("/users", status=201, scope="auth:admin", errors=(Conflict,))
async def add_account(call: Call[Auth], body: NewAccount) -> Reply[Account]:
    """Open an account with roles for somebody else."""
    await call.state.require_standing(call.principal, _ADMIN)
    account = await call.state.add(body, now=call.now)
    location = (("location", f"/api/v1/auth/users/{account.id}"),)
    return Reply(account, etag=str(account.version), headers=location)


@api.get("/emails", scope="audit:read")
async def get_emails(call: Call[Auth], query: EmailsQuery) -> Emails:
    """Look up the e-mails of accounts.

    For who reads the security log, which holds their ids alone.
    """
    return Emails(emails=await call.state.people.emails(query.user_ids))


@api.get("/users/{user_id}", scope="auth:admin", headers=IF_NONE_MATCH)
async def get_account(call: Call[Auth], user_id: UUID) -> Reply[Account]:
    """Get an account."""
    return _tagged(await call.state.accounts.account(user_id))


@api.patch(
    "/users/{user_id}",
    scope="auth:admin",
    errors=(PreconditionFailed, Conflict),
    headers=IF_MATCH,
)
async def change_account(call: Call[Auth], user_id: UUID, body: AccountChange) -> Reply[Account]:
    """Set roles, disable or enable an account. Send its ETag as If-Match.

    Access tokens issued before end everywhere within a second; the next ones have the new roles.
    """
    await call.state.require_standing(call.principal, _ADMIN)

    async def present() -> int:
        return (await call.state.accounts.account(user_id)).version

    version = await required_version(call, present)
    account = await call.state.accounts.change(
        user_id, body, by=call.principal, version=version, now=call.now
    )
    return _tagged(account)


def _whose(call: Call[Auth], query: WhoseSessions) -> UUID:
    """Raises Forbidden for somebody else's, without the scope."""
    whose = query.user_id or call.user_id
    if whose != call.user_id and not call.principal.has(_ADMIN):
        raise Forbidden(f"this needs the scope {_ADMIN}", scope=_ADMIN)
    return whose


def _tagged(account: Account) -> Reply[Account]:
    return Reply(account, etag=str(account.version))
