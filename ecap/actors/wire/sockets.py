"""The Unix sockets of the actors of one node: where they are, and what goes over them.

A connection begins with one byte from either side, the version; then frames, each its length,
the number of its request, and what `packets` makes. Whoever is let in can have pickles loaded,
so the folder is for one account alone, and both sides ask the kernel who the other is.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from pathlib import Path

from ecap import logs
from ecap.errors import Misconfigured

_log = logs.get("ecap.sockets")

MAX_BODY_BYTES = 64 << 20
_VERSION = 1
_HEAD = struct.Struct("!IQ")
_PEER = struct.Struct("3i")  # process, user and group
# The kernel takes 107; a socket is made under a name three bytes longer than its own.
_MAX_PATH_BYTES = 104


def path_of(actor: str, folder: Path) -> Path:
    return folder / f"{actor}.sock"


def check_path(path: Path) -> None:
    """Raises Misconfigured."""
    size = len(os.fsencode(path))
    if size > _MAX_PATH_BYTES:
        raise Misconfigured(
            f"mesh.socket_dir: {path} has {size} bytes, a socket's path may have"
            f" {_MAX_PATH_BYTES}; name a shorter folder"
        )


def check_folder(folder: Path) -> None:
    """Raises Misconfigured for a folder that others can reach into, OSError when it is gone."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        fault = "is a link or a file, not a folder"
    elif found.st_uid != os.geteuid():
        fault = f"belongs to the user {found.st_uid}"
    elif found.st_mode & 0o077:
        fault = f"is open to others (mode {stat.S_IMODE(found.st_mode):04o})"
    else:
        return
    raise Misconfigured(
        f"mesh.socket_dir: {folder} {fault}; remove it, or name another: it is made with mode 0700"
    )


class Connection(asyncio.Protocol):
    """Either end. A subclass takes `next_frame()` when it `received()`."""

    def __init__(self, actor: str) -> None:
        self._actor = actor
        self._greeted = False
        self._bytes = bytearray()

    @property
    def open(self) -> bool:
        return not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        # Before anything is said or read: frames are pickles, and to load one is to run it.
        peer = transport.get_extra_info("socket")
        found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        _, user, _ = _PEER.unpack(found)
        if user != os.geteuid():
            self.refuse(f"the user {user} is at the other end")
        else:
            transport.write(bytes([_VERSION]))

    def data_received(self, data: bytes) -> None:
        if not self.open:
            return
        self._bytes += data
        if not self._greeted:
            if self._bytes[0] != _VERSION:
                self.refuse(f"the other end speaks version {self._bytes[0]}, not {_VERSION}")
                return
            del self._bytes[:1]
            self._greeted = True
        self.received()

    def received(self) -> None:
        raise NotImplementedError

    def next_frame(self) -> tuple[int, bytes] | None:
        if len(self._bytes) < _HEAD.size:
            return None
        size, number = _HEAD.unpack_from(self._bytes)
        # By its announcement: waiting for the rest, the buffer would grow to whatever is announced.
        if size > MAX_BODY_BYTES:
            self.refuse(f"a frame of {size} bytes is announced")
            return None
        end = _HEAD.size + size
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[_HEAD.size : end])
        del self._bytes[:end]
        return number, body

    def write(self, number: int, body: bytes) -> None:
        if self.open:
            self.transport.write(_HEAD.pack(len(body), number) + body)

    def refuse(self, reason: str) -> None:
        _log.error("a connection is closed", extra={"actor": self._actor, "reason": reason})
        self._bytes.clear()
        self.transport.abort()
