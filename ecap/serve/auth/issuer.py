"""Access tokens as `ecap.serve.edge.tokens` verifies them: RFC 9068, signed with Ed25519."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from joserfc import jwt

from ecap.config.settings.services.auth import Auth
from ecap.domain.accounts.roles import Role, scopes_of
from ecap.domain.values.ids import new_id
from ecap.serve.auth.keys import SigningKeys
from ecap.serve.auth.sessions import Grant
from ecap.serve.edge.tokens import ALGORITHM, TOKEN_TYPE


class AccessTokens:
    def __init__(self, keys: SigningKeys, settings: Auth) -> None:
        self._keys = keys
        self._issuer = settings.issuer
        self._audience = settings.audience

    async def issue(
        self, user_id: UUID, roles: Iterable[Role], grant: Grant, *, now: datetime
    ) -> str:
        signer = await self._keys.signer(now)
        roles = sorted(roles)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "iat": int(now.timestamp()),
            "exp": int(grant.access_until.timestamp()),
            "jti": str(new_id()),
            "sid": str(grant.session_id),
            "epoch": grant.epoch,
            "roles": roles,
            "scope": scope_of(roles),
        }
        header = {"alg": ALGORITHM, "kid": signer.kid, "typ": TOKEN_TYPE}
        return jwt.encode(header, claims, signer.key, algorithms=[ALGORITHM])


def scope_of(roles: Iterable[Role]) -> str:
    return " ".join(sorted(scopes_of(roles)))
