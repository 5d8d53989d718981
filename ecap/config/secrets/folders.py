"""Secrets in files: below the listed folders only, regular files only, small ones only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ecap.config.layers.references import Reference
from ecap.config.settings.secrets import Secrets
from ecap.errors import Misconfigured

MOST_BYTES = 64 * 1024


class SecretFiles:
    """`folders` may be symlinks, and so may what is in them, as in a mounted Secret; where
    a file really is has to be below where a folder really is."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._folders = folders

    @classmethod
    def of(cls, section: Secrets, *, state_dir: Path) -> SecretFiles:
        return cls(tuple(_normal(state_dir.absolute() / folder) for folder in section.folders))

    def text(self, reference: Reference, *, where: str) -> str:
        """Raises Misconfigured naming `where` and the file, never what is in it."""
        content = self._content(Path(reference.target), where)
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise Misconfigured(
                f"{where}: the secret file {reference.target} is not UTF-8 text"
            ) from None

    def _content(self, path: Path, where: str) -> bytes:
        try:
            real = path.resolve(strict=True)
            self._refuse_outside(path, real, where)
            # The file itself is a link no more; non-blocking, for a FIFO would never open.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(real, flags)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Misconfigured(f"{where}: the secret file {path} is no regular file")
                content = file.read(MOST_BYTES + 1)
        except (OSError, ValueError, RuntimeError) as exc:  # a NUL in it; links in a circle
            self._refuse_outside(path, path, where)
            said = getattr(exc, "strerror", None) or "not a path"
            raise Misconfigured(
                f"{where}: cannot read the secret file {path}: {said};"
                " create it with mode 0600 or name another"
            ) from None
        if len(content) > MOST_BYTES:
            raise Misconfigured(
                f"{where}: the secret file {path} is larger than {MOST_BYTES} bytes"
            )
        return content

    def _refuse_outside(self, path: Path, real: Path, where: str) -> None:
        """Before anything is said of the file: whether it is there is nobody's business."""
        if not any(_normal(real).is_relative_to(folder) for folder in self._real()):
            named = ", ".join(map(str, self._folders))
            raise Misconfigured(
                f"{where}: the secret file {path} is not below secrets.folders ({named})"
            )

    def _real(self) -> Iterator[Path]:
        for folder in self._folders:
            yield folder
            yield _normal(folder.resolve())


def _normal(path: Path) -> Path:
    """Without `..`, which would lead out of a folder that it begins with."""
    return Path(os.path.normpath(path))
