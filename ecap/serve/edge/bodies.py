"""The body of a request, never more of it than allowed."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Message, Receive

from ecap.errors import HungUp, TooLarge


async def read(
    receive: Receive, headers: Mapping[bytes, bytes], *, limit_bytes: int, expected: bool
) -> bytes:
    """The whole body. Raises HungUp, and TooLarge before more than `limit_bytes` are held."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > limit_bytes:
        raise _too_large(limit_bytes)
    if not expected and length is None and b"transfer-encoding" not in headers:
        return b""
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise HungUp("the request ended early")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"at most {limit_bytes} bytes", limit_bytes=limit_bytes)
