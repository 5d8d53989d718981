"""Who is calling: the principal of a request, and the service that makes a call.

A service proves itself with an HS256 JWT under a key all services of one
installation share: it says which service speaks and to whom, for 60 seconds.
Users are proven by their own access tokens, which `serve` verifies.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from ecap.errors import Misconfigured, Unauthenticated

_ISSUER = "ecap-mesh"
_ALGORITHMS = ["HS256"]
_LIFE_S = 60
_SKEW_S = 5
_KEY_BYTES = 32  # RFC 7518 3.2: a key of at least the hash's size


@dataclass(frozen=True, slots=True)
class Principal:
    subject: str
    kind: Literal["user", "service", "anonymous"]
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    def has(self, scope: str) -> bool:
        return scope in self.scopes


ANONYMOUS = Principal("anonymous", "anonymous")


class ServiceIdentity:
    """Makes this service's tokens and checks those of others.

    A token is used again until two thirds of its life are over, so that it always
    outlives the call it is sent with. `now` is wall-clock time in seconds: the
    other side has its own monotonic clock.
    """

    def __init__(self, service: str, *, key: bytes, now: Callable[[], float] = time.time) -> None:
        if len(key) < _KEY_BYTES:
            raise Misconfigured(
                f"mesh.service_key has {len(key)} bytes; give it at least {_KEY_BYTES} random ones"
            )
        self._service = service
        self._key = OctKey.import_key(key)
        self._now = now
        self._minted: dict[str, tuple[str, float]] = {}

    def token(self, callee: str) -> str:
        """A token only `callee` will accept."""
        now = self._now()
        token, renew_at = self._minted.get(callee, ("", 0.0))
        # A clock set back makes an old token look fresh for longer than it lives.
        if not renew_at - _LIFE_S * 2 / 3 <= now < renew_at:
            token = self._mint(callee, int(now))
            self._minted[callee] = (token, now + _LIFE_S * 2 / 3)
        return token

    def _mint(self, callee: str, now: int) -> str:
        claims = {
            "iss": _ISSUER,
            "sub": self._service,
            "aud": callee,
            "iat": now,
            "exp": now + _LIFE_S,
        }
        return jwt.encode({"alg": "HS256"}, claims, self._key)

    def verify(self, token: str) -> Principal:
        """The calling service; the signature is compared in constant time by joserfc."""
        try:
            claims = jwt.decode(token, self._key, algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError) as exc:
            raise Unauthenticated("the service token is not ours") from exc
        if claims.get("iss") != _ISSUER or claims.get("aud") != self._service:
            raise Unauthenticated("the service token is meant for another service")
        subject, issued, expires = claims.get("sub"), claims.get("iat"), claims.get("exp")
        if not (isinstance(subject, str) and isinstance(issued, int) and isinstance(expires, int)):
            raise Unauthenticated("the service token lacks a claim")
        now = self._now()
        if not (issued - _SKEW_S <= now < expires + _SKEW_S):
            raise Unauthenticated("the service token has expired or is not valid yet")
        return Principal(subject, "service", roles=frozenset(("service",)))
