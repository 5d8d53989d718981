"""Who is calling: the principal of a request, and the service that makes a call.

A service proves itself with an HS256 JWT under a key all services of one
installation share: it says which service speaks and to whom, for 60 seconds.
Users are proven by their own access tokens, which `serve` verifies.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import OctKey

from ecap.errors import Misconfigured, Unauthenticated

_ISSUER = "ecap-mesh"
_ALGORITHMS = ["HS256"]
_LIFE_S = 60
_SKEW_S = 5
_KEY_BYTES = 32  # RFC 7518 3.2: a key of at least the hash's size
# Within this time all services have learnt of a new key.
_SPREAD_S = 10


@dataclass(frozen=True, slots=True)
class Principal:
    """What a user's access hangs on is `session` and `epoch`: it ends with the session, and
    when the account goes on to another epoch."""

    subject: str
    kind: Literal["user", "service", "anonymous"]
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    session: str | None = None
    epoch: int = 0

    def has(self, scope: str) -> bool:
        return scope in self.scopes

    def sections(self, scope: str) -> tuple[str, ...]:
        """Where it may do what `scope` allows: "" is everywhere, () is nowhere."""
        if scope in self.scopes:
            return ("",)
        narrowed = f"{scope}:"
        return tuple(
            sorted(one.removeprefix(narrowed) for one in self.scopes if one.startswith(narrowed))
        )


ANONYMOUS = Principal("anonymous", "anonymous")


class ServiceIdentity:
    """Makes this service's tokens and checks those of others.

    A token is used again until two thirds of its life are over, so that it always
    outlives the call it is sent with. `now` is wall-clock time in seconds: the
    other side has its own monotonic clock.
    """

    def __init__(self, service: str, *, key: bytes, now: Callable[[], float] = time.time) -> None:
        """Raises Misconfigured for a weak key."""
        self._service = service
        self._key = self._before = imported(key)
        self._replaced_at = -math.inf
        self._now = now
        self._minted: dict[str, tuple[str, float, OctKey]] = {}

    def replace_key(self, key: bytes) -> None:
        """Both keys are believed until every token under the old one has expired, and the
        old one signs until all services can have learnt of the new one."""
        new = imported(key)
        if new.thumbprint() == self._key.thumbprint():
            return
        # What signs now is what the others believe, also when a new key is taken back.
        self._before, self._key = self._signer, new
        self._replaced_at = self._now()

    @property
    def _signer(self) -> OctKey:
        spreading = self._now() < self._replaced_at + _SPREAD_S
        return self._before if spreading else self._key

    @property
    def _believed(self) -> tuple[OctKey, ...]:
        outlived = self._now() >= self._replaced_at + _SPREAD_S + _LIFE_S + _SKEW_S
        return (self._key,) if outlived else (self._key, self._before)

    def token(self, callee: str) -> str:
        """A token only `callee` will accept."""
        now, signer = self._now(), self._signer
        token, renew_at, signed_with = self._minted.get(callee, ("", 0.0, signer))
        # A clock set back makes an old token look fresh for longer than it lives.
        if signed_with is not signer or not renew_at - _LIFE_S * 2 / 3 <= now < renew_at:
            token = self._mint(callee, int(now), signer)
            self._minted[callee] = (token, now + _LIFE_S * 2 / 3, signer)
        return token

    def _mint(self, callee: str, now: int, signer: OctKey) -> str:
        claims = {
            "iss": _ISSUER,
            "sub": self._service,
            "aud": callee,
            "iat": now,
            "exp": now + _LIFE_S,
        }
        return jwt.encode({"alg": "HS256"}, claims, signer)

    def verify(self, token: str) -> Principal:
        """The calling service; the signature is compared in constant time by joserfc."""
        claims = self._claims(token)
        if claims.get("iss") != _ISSUER or claims.get("aud") != self._service:
            raise Unauthenticated("the service token is meant for another service")
        subject, issued, expires = claims.get("sub"), claims.get("iat"), claims.get("exp")
        if not (isinstance(subject, str) and isinstance(issued, int) and isinstance(expires, int)):
            raise Unauthenticated("the service token lacks a claim")
        now = self._now()
        if not (issued - _SKEW_S <= now < expires + _SKEW_S):
            raise Unauthenticated("the service token has expired or is not valid yet")
        return Principal(subject, "service", roles=frozenset(("service",)))

    def _claims(self, token: str) -> Mapping[str, Any]:
        for key in self._believed:
            try:
                return jwt.decode(token, key, algorithms=_ALGORITHMS).claims
            except BadSignatureError:
                continue
            except (JoseError, ValueError) as exc:
                raise Unauthenticated("the service token is not ours") from exc
        raise Unauthenticated("the service token is not ours")


def imported(key: bytes) -> OctKey:
    """Raises Misconfigured for a weak key."""
    if len(key) < _KEY_BYTES:
        raise Misconfigured(
            f"mesh.service_key has {len(key)} bytes; give it at least {_KEY_BYTES} random ones"
        )
    return OctKey.import_key(key)
