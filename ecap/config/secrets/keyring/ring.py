"""Fernet keys that protect secrets at rest: the first encrypts, all of them decrypt.

To rotate: add a key (every reader learns it), promote it (it encrypts from now
on), encrypt everything again, retire the old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ecap.errors import Conflict, Misconfigured, NotFound

PREFIX = "enc:"


@dataclass(frozen=True, slots=True)
class Key:
    material: str = field(repr=False)
    created_at: float | None = None
    """Unix time; None when the store does not say."""

    @property
    def id(self) -> str:
        """Names the key in messages; says nothing about it."""
        return hashlib.sha256(self.material.encode()).hexdigest()[:8]


class Keyring:
    """Immutable. Raises Misconfigured for no key, a repeated key, or one that is no Fernet key."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = tuple(keys)
        if not self.keys:
            raise Misconfigured("the keyring is empty; `ecap secrets rotate-keys` makes a key")
        if len({key.id for key in self.keys}) < len(self.keys):
            raise Misconfigured("the keyring holds one key twice")
        try:
            fernets = [Fernet(key.material) for key in self.keys]
        except ValueError:
            # Not `from`: the key must not be printed.
            raise Misconfigured(
                "the keyring holds something that is no Fernet key (32 bytes, url-safe base64)"
            ) from None
        self._first = fernets[0]
        self._all = MultiFernet(fernets)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(key.id for key in self.keys)})"

    @property
    def primary(self) -> Key:
        return self.keys[0]

    def seal(self, plain: bytes) -> bytes:
        return self._all.encrypt(plain)

    def open(self, token: bytes, *, where: str) -> bytes:
        """Raises Misconfigured when no key fits or the token was altered."""
        try:
            return self._all.decrypt(token)
        except InvalidToken:
            known = ", ".join(key.id for key in self.keys)
            raise Misconfigured(
                f"{where}: not encrypted with a key of the keyring ({known}), or altered;"
                " bring the key back or store the value again"
            ) from None

    def is_current(self, token: bytes) -> bool:
        try:
            self._first.decrypt(token)
        except InvalidToken:
            return False
        return True

    def renew(self, token: bytes, *, where: str) -> bytes:
        """The same secret under the first key."""
        return self.seal(self.open(token, where=where))

    def seal_text(self, plain: str) -> str:
        """An `enc:` reference."""
        return PREFIX + self.seal(plain.encode()).decode()

    def open_text(self, token: str, *, where: str) -> str:
        return self.open(token.encode(errors="replace"), where=where).decode()

    def add(self, *, now: float) -> Keyring:
        """A new key, last: it decrypts but does not encrypt yet."""
        return Keyring((*self.keys, new_key(now=now)))

    def promote(self, key_id: str) -> Keyring:
        chosen = self._find(key_id)
        return Keyring((chosen, *(key for key in self.keys if key is not chosen)))

    def retire(self, key_id: str) -> Keyring:
        """What only this key opens is lost; encrypt everything again before."""
        chosen = self._find(key_id)
        if chosen is self.primary:
            raise Conflict(f"key {key_id} encrypts; promote another before it is retired")
        return Keyring(key for key in self.keys if key is not chosen)

    def age_s(self, *, now: float) -> float | None:
        """Of the key that encrypts."""
        created = self.primary.created_at
        return None if created is None else now - created

    def _find(self, key_id: str) -> Key:
        for key in self.keys:
            if key.id == key_id:
                return key
        raise NotFound(f"no key {key_id} in the keyring")


def new_key(*, now: float) -> Key:
    return Key(Fernet.generate_key().decode(), created_at=now)


def with_material(key: Key, material: str) -> Key:
    return replace(key, material=material)
