"""Access tokens, verified inside the replica: RFC 9068 JWTs signed with Ed25519.

Keys come from the JWKS of the auth service, fetched when a `kid` is not known
yet, at most once every `REFRESH_S`. No request waits for a call otherwise. The auth
service publishes a key for longer than that before it signs with it.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ecap.errors import EcapError, Unauthenticated, Unavailable
from ecap.mesh.identity import Principal
from ecap.serve.edge.revocations import Revocations

ALGORITHM = "Ed25519"
TOKEN_TYPE = "at+jwt"  # noqa: S105  a media type
REFRESH_S = 5.0
_CACHE = 10_000
_FAILED_S = 1.0

Jwks = Callable[[], Awaitable[Mapping[str, Any]]]


class TokenVerifier:
    """`fixed` are secrets that are accepted as they are, such as the scraper's. Without
    `revocations` a token is good until it expires."""

    def __init__(
        self,
        jwks: Jwks,
        *,
        issuer: str,
        audience: str,
        skew_s: float = 5.0,
        fixed: Mapping[str, Principal] | None = None,
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jwks = jwks
        self._issuer = issuer
        self._audience = audience
        self._skew_s = skew_s
        self._fixed = dict(fixed or {})
        self._revocations = revocations
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._monotonic = monotonic
        self._fetch_at = -math.inf
        self._failed = False
        self._fetching = asyncio.Lock()
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    def ask(self, jwks: Jwks) -> None:
        """Another source of keys: the auth service holds them itself."""
        self._jwks = jwks

    def reconfigure(self, *, skew_s: float) -> None:
        self._skew_s = skew_s

    def accept(self, fixed: Mapping[str, Principal]) -> None:
        """These, and no longer those before."""
        self._fixed = dict(fixed)

    def cached(self, token: str) -> Principal | None:
        """The principal of a token that was verified before and is still valid."""
        found = self._known.get(token)
        if found is None:
            return None
        if found[1] + self._skew_s <= self._clock() or self._has_ended(found[0]):
            del self._known[token]
            return None
        return found[0]

    async def verify(self, token: str) -> Principal:
        """Raises Unauthenticated, or Unavailable when the keys cannot be fetched."""
        found = self.cached(token)
        if found is not None:
            return found
        for secret, principal in self._fixed.items():
            if same_secret(token, secret):
                return principal
        key = await self._key(_kid(token))
        try:
            decoded = jwt.decode(token, key, algorithms=[ALGORITHM])
        except (JoseError, ValueError) as exc:
            raise Unauthenticated("the access token is not valid") from exc
        principal, expires = self._principal(decoded.header, decoded.claims)
        if self._revocations is not None:
            self._revocations.require(principal)
        if self._has_ended(principal):
            raise Unauthenticated("this access has been ended; refresh it, or log in again")
        self._known[token] = (principal, expires)
        if len(self._known) > _CACHE:
            self._known.popitem(last=False)
        return principal

    def _has_ended(self, principal: Principal) -> bool:
        return self._revocations is not None and self._revocations.has_ended(principal)

    def _principal(
        self, header: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> tuple[Principal, float]:
        now = self._clock()
        if header.get("typ") != TOKEN_TYPE:
            raise Unauthenticated("this is not an access token")
        if claims.get("iss") != self._issuer or claims.get("aud") != self._audience:
            raise Unauthenticated("the access token is for somebody else")
        expires, issued = claims.get("exp"), claims.get("iat")
        if not isinstance(expires, int | float) or not isinstance(issued, int | float):
            raise Unauthenticated("the access token has no times")
        if expires + self._skew_s <= now:
            raise Unauthenticated("the access token has expired")
        if issued - self._skew_s > now:
            raise Unauthenticated("the access token is not valid yet")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise Unauthenticated("the access token names nobody")
        session, epoch = claims.get("sid"), claims.get("epoch")
        principal = Principal(
            subject=subject,
            kind="user",
            roles=frozenset(claims.get("roles", ())),
            scopes=frozenset(str(claims.get("scope", "")).split()),
            session=session if isinstance(session, str) else None,
            epoch=epoch if isinstance(epoch, int) else 0,
        )
        return principal, expires

    async def _key(self, kid: str) -> Any:
        if kid not in self._keys:
            await self._refresh(kid)
        try:
            return self._keys[kid]
        except KeyError:
            raise Unauthenticated("the access token is signed with an unknown key") from None

    async def _refresh(self, kid: str) -> None:
        async with self._fetching:
            # Unknown kids are free to send; they must not become calls.
            if kid in self._keys:
                return
            if self._monotonic() < self._fetch_at:
                if self._failed:
                    # A token must not be called wrong because nobody could be asked.
                    raise Unavailable("the signing keys cannot be had")
                return
            try:
                document = await self._jwks()
            except EcapError as exc:
                self._failed, self._fetch_at = True, self._monotonic() + _FAILED_S
                raise Unavailable("the signing keys cannot be had") from exc
            self._failed, self._fetch_at = False, self._monotonic() + REFRESH_S
            keys = KeySet.import_key_set({"keys": list(document["keys"])})
            self._keys = {key.kid: key for key in keys.keys if key.kid}


def _kid(token: str) -> str:
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError) as exc:
        raise Unauthenticated("the access token is not valid") from exc
    kid = header.get("kid")
    if not isinstance(kid, str) or header.get("alg") != ALGORITHM:
        raise Unauthenticated("the access token is not valid")
    return kid


def bearer(header: bytes | None) -> str | None:
    """The token of an Authorization header. Raises Unauthenticated for another scheme."""
    if header is None:
        return None
    scheme, _, token = header.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("send Authorization: Bearer <token>")
    return token.strip()


def same_secret(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
