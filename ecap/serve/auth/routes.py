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
    PasswordChange,
    Refresh,
    Registered,
    Registration,
    Tokens,
)
from ecap.serve.auth.service import Auth
from ecap.serve.endpoints.pages import Page
from ecap.serve.endpoints.preconditions import IF_MATCH, IF_NONE_MATCH, required_version
from ecap.serve.endpoints.routing import Api, Call, Reply

api = Api("auth", prefix="/api/v1/auth", title="ECAP auth")
_SECRET = (("cache-control", "no-store"),)


@api.post("/register", status=201, scope=None, limit="credentials", errors=(Conflict,))
async def register(call: Call[Auth], body: Registration) -> Reply[Registered]:
    """Open an account.

    Answers the account and the tokens of its first session.
    """
    return Reply(await call.state.register(body, now=call.now), headers=_SECRET)


@api.post("/login", scope=None, limit="credentials", errors=(Forbidden,))
async def log_in(call: Call[Auth], body: Credentials) -> Reply[Tokens]:
    """Log in with e-mail and password."""
    return Reply(await call.state.log_in(body, now=call.now), headers=_SECRET)


@api.post("/refresh", scope=None, limit="credentials")
async def refresh(call: Call[Auth], body: Refresh) -> Reply[Tokens]:
    """Exchange a refresh token for new tokens.

    Each is for one use: a second use ends the session.
    """
    return Reply(await call.state.refresh(body.refresh_token, now=call.now), headers=_SECRET)


@api.post("/logout", status=204, scope=None)
async def log_out(call: Call[Auth], body: Refresh) -> None:
    """End the session of a refresh token.

    Its access tokens stay valid until they expire.
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

    Ends all sessions of the account and begins a new one.
    """
    tokens = await call.state.change_password(
        call.user_id, body.current_password, body.new_password, now=call.now
    )
    return Reply(tokens, headers=_SECRET)


@api.get("/users", scope="auth:admin")
async def list_accounts(call: Call[Auth], query: AccountQuery) -> Page[Account]:
    """List accounts, oldest first."""
    return await call.state.accounts.page(query)


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

    Access tokens keep the old roles until they expire.
    """
    account = await call.state.accounts.change(
        user_id, body, version=required_version(call), now=call.now
    )
    return _tagged(account)


def _tagged(account: Account) -> Reply[Account]:
    return Reply(account, etag=str(account.version))
