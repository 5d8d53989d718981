"""The keys that sign access tokens: made here, wrapped at rest, replaced in time.

A key is published `_AHEAD_S` before it signs, so that every replica has had time to
fetch it, and stays published until the last token it signed has expired. A key that
no key of the keyring opens any more is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from joserfc.jwk import OKPKey

from ecap import logs
from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.domain.values.ids import new_id
from ecap.errors import Misconfigured

_SQL = load_queries(__package__)
_log = logs.get("ecap.auth")
_LOCK = 0x45434150_0001
_AHEAD_S = 600.0
# Requests that wait for the first key began before it was made; clocks differ, too.
_BEFORE = timedelta(seconds=60)


class SigningKey(NamedTuple):
    kid: str
    key: OKPKey
    signs_from: datetime
    retires_at: datetime

    def signs(self, now: datetime) -> bool:
        return self.signs_from <= now < self.retires_at


class SigningKeys:
    def __init__(
        self, pool: Pool, keyring: LiveKeyring, *, life_s: float, token_life_s: float
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._token_life = timedelta(seconds=token_life_s)
        self.reconfigure(life_s=life_s)

    def reconfigure(self, *, life_s: float) -> None:
        """Of keys made from now on; the signer of the moment stays."""
        self._life = timedelta(seconds=life_s)
        self._ahead = timedelta(seconds=min(_AHEAD_S, life_s / 2))
        self._signer: SigningKey | None = None
        self._good_until = datetime.min.replace(tzinfo=UTC)

    async def signer(self, now: datetime) -> SigningKey:
        """The key of the moment, the same in every replica. Raises Unavailable."""
        signer = self._signer
        if signer is None or not signer.signs(now) or now >= self._good_until:
            async with self._pool.transaction() as conn:
                # Before the keys are read: two replicas that find none would make two, and sign
                # with one each.
                await conn.execute(_SQL["one_key_change"], _LOCK)
                signer, good_until = await self._agree(conn, now)
            # Not before it is committed: tokens signed with a key that nobody else will ever see
            # would be refused by everybody.
            self._signer, self._good_until = signer, good_until
        return signer

    async def jwks(self) -> Mapping[str, Any]:
        """The document of now, for the verifier of the auth replica itself."""
        return {"keys": await self.published(datetime.now(UTC))}

    async def published(self, now: datetime) -> tuple[Mapping[str, Any], ...]:
        """Every public key a valid token may be signed with, and the next one."""
        rows = await self._pool.fetch(_SQL["published_keys"], now - self._token_life)
        return tuple(json.loads(row["public"]) for row in rows)

    async def _agree(self, conn: Connection, now: datetime) -> tuple[SigningKey, datetime]:
        known = await self._readable(conn, now)
        signer = next((key for key in known if key.signs(now)), None)
        if signer is None:
            signer = await self._add(conn, now, signs_from=now - _BEFORE)
            known = [signer, *known]
        has_heir = any(key.signs_from >= signer.retires_at for key in known)
        if not has_heir and now >= signer.retires_at - self._ahead:
            await self._add(conn, now, signs_from=signer.retires_at)
            has_heir = True
        return signer, signer.retires_at if has_heir else signer.retires_at - self._ahead

    async def _readable(self, conn: Connection, now: datetime) -> Sequence[SigningKey]:
        found = []
        for row in await conn.fetch(_SQL["signing_keys"], now):
            try:
                private = await self._keyring.open(
                    row["wrapped"], where=f"signing key {row['kid']}"
                )
            except Misconfigured as exc:
                _log.error("a signing key is passed over", extra={"why": exc.detail})
                continue
            key = OKPKey.import_key(json.loads(private))
            found.append(SigningKey(row["kid"], key, row["signs_from"], row["retires_at"]))
        return found

    async def _add(self, conn: Connection, now: datetime, *, signs_from: datetime) -> SigningKey:
        kid = str(new_id())
        key = OKPKey.generate_key(
            "Ed25519", parameters={"kid": kid, "use": "sig", "alg": "Ed25519"}
        )
        retires_at = signs_from + self._life
        await conn.execute(
            _SQL["add_signing_key"],
            kid,
            self._keyring.seal(json.dumps(key.as_dict(private=True)).encode()),
            json.dumps(key.as_dict(private=False)),
            now,
            signs_from,
            retires_at,
        )
        _log.info("new signing key", extra={"kid": kid, "signs_from": signs_from.isoformat()})
        return SigningKey(kid, key, signs_from, retires_at)
