"""Keys are added, promoted and retired; nothing is lost on the way and nobody sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from ecap.config.secrets.keyring.ring import Key, Keyring, new_key
from ecap.config.secrets.keyring.stores import EnvironmentKeyring, FileKeyring, Plain
from ecap.config.secrets.keyring.text import parse, write
from ecap.config.secrets.rotation import FileEntries, NoProgress, renew
from ecap.errors import Conflict, Misconfigured, NotFound


@pytest.fixture
def ring() -> Keyring:
    return Keyring([new_key(now=100.0)])


def test_a_rotation_keeps_everything_readable(ring: Keyring) -> None:
    old = ring.seal(b"text")
    added = ring.add(now=200.0)
    assert added.primary == ring.primary
    promoted = added.promote(added.keys[1].id)
    assert promoted.open(old, where="x") == b"text"
    assert not promoted.is_current(old)
    renewed = promoted.renew(old, where="x")
    assert promoted.is_current(renewed)
    retired = promoted.retire(ring.primary.id)
    assert retired.open(renewed, where="x") == b"text"
    with pytest.raises(Misconfigured, match="not encrypted with a key of the keyring"):
        retired.open(old, where="here")
    assert promoted.age_s(now=260.0) == 60.0


def test_the_key_that_encrypts_cannot_be_retired(ring: Keyring) -> None:
    with pytest.raises(Conflict, match="promote another"):
        ring.retire(ring.primary.id)
    with pytest.raises(NotFound):
        ring.promote("nothere")


@settings(max_examples=40)
@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(1, 255))
def test_altered_data_is_refused(plain: bytes, at: int, flip: int) -> None:
    ring = Keyring([Key("A" * 43 + "=")])
    token = bytearray(ring.seal(plain))
    token[at % len(token)] ^= flip
    try:
        found = ring.open(bytes(token), where="x")
    except Misconfigured:
        return
    # Base64 has spare bits at its end; whatever opens is the same text.
    assert found == plain


@pytest.mark.parametrize("text", ["", "canary-not-a-key", '{"keys": 1}', '{"keys": []}', "a,a"])
def test_a_bad_keyring_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        EnvironmentKeyring("K", {"K": text or " "}, Plain()).load()
    assert "canary" not in str(caught.value)


def test_no_key_shows_anywhere(ring: Keyring) -> None:
    assert ring.primary.material not in repr(ring) + repr(ring.primary) + ring.primary.id


def test_text_forms() -> None:
    one, two = new_key(now=1.0), new_key(now=2.0)
    assert parse(write((one, two)), place="x") == (one, two)
    plain = f"{one.material},\n{two.material}\n"
    assert [key.material for key in parse(plain, place="x")] == [one.material, two.material]


def test_a_file_that_others_may_read_is_refused(tmp_path: Path, ring: Keyring) -> None:
    store = FileKeyring(tmp_path / "ring", Plain())
    with pytest.raises(NotFound):
        store.load()
    store.save(ring, revision=None)
    assert (tmp_path / "ring").stat().st_mode & 0o777 == 0o600
    kept = store.load()
    assert kept.ring.keys == ring.keys
    store.save(ring.add(now=3.0), revision=kept.revision)
    with pytest.raises(Conflict):
        store.save(ring, revision=kept.revision)
    with pytest.raises(Conflict):
        store.save(ring, revision=None)
    (tmp_path / "ring").chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        store.load()


def test_an_environment_variable_cannot_be_rotated(ring: Keyring) -> None:
    store = EnvironmentKeyring("K", {"K": ring.primary.material}, Plain())
    assert store.load().ring.primary.id == ring.primary.id
    with pytest.raises(Conflict, match="cannot be written"):
        store.save(ring, revision="environment")


async def test_entries_of_files_are_renewed_in_place(tmp_path: Path, ring: Keyring) -> None:
    one, two = ring.seal_text("one"), ring.seal_text("two")
    path = tmp_path / "base.yaml"
    path.write_bytes(f"a: {one}  # {two}\r\nb: 'plain'\n".encode())
    rotated = ring.add(now=2.0)
    rotated = rotated.promote(rotated.keys[1].id)
    assert await renew([FileEntries([path])], rotated, NoProgress()) == 2
    text = path.read_bytes().decode()
    assert text.startswith("a: enc:")
    assert text.endswith("\r\nb: 'plain'\n")
    assert one not in text
    after = rotated.retire(ring.primary.id)
    assert after.open_text(text.split()[1].removeprefix("enc:"), where="x") == "one"
    assert await renew([FileEntries([path])], rotated, NoProgress()) == 0
    foreign = Keyring([Key(Fernet.generate_key().decode())])
    with pytest.raises(Misconfigured, match=r"base\.yaml:1: not encrypted with"):
        await renew([FileEntries([path])], foreign, NoProgress())
    assert path.read_bytes().decode() == text


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """As every other trouble of a store: what watches it goes on, and says so."""
    path = tmp_path / "ring"
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="is no text"):
        FileKeyring(path, Plain()).load()
