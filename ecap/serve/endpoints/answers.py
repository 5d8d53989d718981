"""What goes back: the answer of a handler or of an error, and how it is sent."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.types import Receive, Send

from ecap.errors import EcapError
from ecap.serve.endpoints import problems
from ecap.serve.endpoints.routing import Endpoint, Events, Raw, Reply

_JSON = b"application/json"
Header = tuple[bytes, bytes]
Ended = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Answer:
    status: int
    headers: list[Header]
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


def of_error(error: EcapError, *, request_id: str) -> Answer:
    status, body, headers = problems.of(error, request_id=request_id)
    return Answer(status, headers, body)


def of_status(status: int, detail: str, *, request_id: str) -> Answer:
    status, body, headers = problems.of_status(status, detail=detail, request_id=request_id)
    return Answer(status, headers, body)


def of_result(result: Any, endpoint: Endpoint, *, if_none_match: bytes | None) -> Answer:
    """`if_none_match` is the header of a GET or HEAD, None for other methods."""
    if isinstance(result, BaseModel):
        return Answer(endpoint.status, [(b"content-type", _JSON)], _dump(result))
    if isinstance(result, Reply):
        return _of_reply(result, endpoint, if_none_match)
    if isinstance(result, Raw):
        return _of_raw(result, if_none_match)
    if isinstance(result, Events):
        ctype = result.content_type.encode()
        headers = [(b"content-type", ctype), (b"cache-control", b"no-store")]
        return Answer(200, headers, stream=result.blocks)
    return Answer(204, [])


def _of_reply(reply: Reply[Any], endpoint: Endpoint, if_none_match: bytes | None) -> Answer:
    headers = _encoded(reply.headers)
    if reply.etag is not None:
        etag = f'"{reply.etag}"'.encode()
        headers.append((b"etag", etag))
        if _matches(if_none_match, etag):
            return Answer(304, headers)
    if reply.body is None:
        return Answer(reply.status or 204, headers)
    headers.append((b"content-type", _JSON))
    return Answer(reply.status or endpoint.status, headers, _dump(reply.body))


def _of_raw(raw: Raw, if_none_match: bytes | None) -> Answer:
    headers = _encoded(raw.headers)
    if any(name == b"etag" and _matches(if_none_match, value) for name, value in headers):
        return Answer(304, headers)
    return Answer(raw.status, [(b"content-type", raw.content_type.encode()), *headers], raw.body)


def _matches(given: bytes | None, etag: bytes) -> bool:
    if given is None:
        return False
    tags = [tag.strip().removeprefix(b"W/") for tag in given.split(b",")]
    return b"*" in tags or etag in tags


def _dump(model: BaseModel) -> bytes:
    return model.__pydantic_serializer__.to_json(model, exclude_none=True)


def _encoded(headers: Sequence[tuple[str, str]]) -> list[Header]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether the header names gzip, and not in order to refuse it."""
    for item in accept_encoding.split(b","):
        coding, _, weight = item.partition(b";")
        if coding.strip().lower() == b"gzip":
            return weight.replace(b" ", b"").rstrip(b"0.") != b"q="
    return False


def compress(answer: Answer, *, min_bytes: int, accept_encoding: bytes) -> None:
    """Replaces the body by its gzip where that is wanted and not done yet."""
    if len(answer.body) < min_bytes or any(
        name == b"content-encoding" for name, _ in answer.headers
    ):
        return
    answer.headers.append((b"vary", b"accept-encoding"))
    if accepts_gzip(accept_encoding):
        answer.body = gzip.compress(answer.body, compresslevel=5, mtime=0)
        answer.headers.append((b"content-encoding", b"gzip"))


async def send(
    answer: Answer,
    method: str,
    receive: Receive,
    send: Send,
    *,
    ended: Ended | None = None,
) -> None:
    """A stream goes on until it is over, its reader is gone, or `ended` returns."""
    if answer.stream is not None:
        await _send_stream(answer, answer.stream, method, receive, send, ended)
        return
    if answer.status not in (204, 304):
        answer.headers.append((b"content-length", str(len(answer.body)).encode()))
    start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
    await send(start)
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})


async def _send_stream(
    answer: Answer,
    stream: AsyncIterator[bytes],
    method: str,
    receive: Receive,
    send: Send,
    ended: Ended | None,
) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    async with aclosing(stream) as blocks:  # type: ignore[type-var]
        if method != "HEAD":
            ends = {"http-stream-reader": _gone(receive)}
            if ended is not None:
                ends["http-stream-access"] = ended()
            await _until(ends, _pump(blocks, send))
    await send({"type": "http.response.body", "body": b""})


async def _pump(blocks: AsyncIterator[bytes], send: Send) -> None:
    async for block in blocks:
        await send({"type": "http.response.body", "body": block, "more_body": True})


async def _until(ends: Mapping[str, Coroutine[Any, Any, None]], pumping: Any) -> None:
    """Ends the stream with its reader: servers drop what is sent to nobody in silence."""
    pump = asyncio.create_task(pumping, name="http-stream")
    tasks = {pump, *(asyncio.create_task(end, name=name) for name, end in ends.items())}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if not pump.cancelled():
        pump.result()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
