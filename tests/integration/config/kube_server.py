"""As much of a Kubernetes API server as the official client's list and watch can tell from one:
one resource version for everything, optimistic locking, bookmarks, 410 after compaction,
label selectors, paged lists, TokenReview, and faults on demand."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KINDS = {"configmaps": "ConfigMap", "secrets": "Secret"}
Object = dict[str, Any]


class Refusal(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.body = {"kind": "Status", "code": code, "reason": reason, "message": reason}
        self.code = code


@dataclass
class Change:
    version: int
    resource: str
    kind: str
    before: Object | None
    after: Object


@dataclass
class KubeServer:
    bookmark_s: float = 0.05
    port: int = 0
    version: int = 1000
    compacted: int = 0
    users: dict[str, Object] = field(default_factory=dict)
    faults: list[int] = field(default_factory=list)
    """Status codes of the next answers."""
    lists: int = 0
    watches: list[web.StreamResponse] = field(default_factory=list)
    bookmarks: int = 0

    def __post_init__(self) -> None:
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._changes: list[Change] = []
        self._news = asyncio.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compact(self) -> None:
        """Forget what has happened: watches from before get 410."""
        self.version += 1
        self.compacted = self.version
        self._changes.clear()
        self._wake()

    def cut(self) -> None:
        """Break every open watch, as a dying server does."""
        for response in self.watches:
            task = response.task
            if task is not None:
                task.cancel()
        self.watches.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if self.faults:
                raise Refusal(self.faults.pop(0), "InternalError")
            return await self._route(request)
        except Refusal as exc:
            return web.json_response(exc.body, status=exc.code)
        except ConnectionResetError:
            return web.Response()  # the client has gone; nobody reads this

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/tokenreviews"):
            return await self._review(request)
        _, _, _, _, namespace, resource, *rest = request.path.split("/")
        if request.method == "GET" and not rest:
            watching = request.query.get("watch") in ("true", "True", "1")
            answer = self._watch if watching else self._list
            return await answer(request, namespace, resource)
        if request.method == "POST":
            body = await request.json()
            return self._put(namespace, resource, body["metadata"]["name"], body, new=True)
        if request.method == "PUT":
            return self._put(namespace, resource, rest[0], await request.json(), new=False)
        found = self._objects.get((namespace, resource, rest[0]))
        if found is None:
            raise Refusal(404, "NotFound")
        if request.method == "DELETE":
            del self._objects[namespace, resource, rest[0]]
            self._emit(resource, "DELETED", found, copy.deepcopy(found))
        return web.json_response(found)

    def _put(
        self, namespace: str, resource: str, name: str, body: Object, *, new: bool
    ) -> web.Response:
        key = (namespace, resource, name)
        before = self._objects.get(key)
        if new and before is not None:
            raise Refusal(409, "AlreadyExists")
        if not new and before is None:
            raise Refusal(404, "NotFound")
        wanted = body["metadata"].get("resourceVersion")
        if before is not None and wanted and wanted != before["metadata"]["resourceVersion"]:
            raise Refusal(409, "Conflict")
        found = {"kind": KINDS[resource], "apiVersion": "v1", **body}
        found["metadata"] = {**body["metadata"], "namespace": namespace}
        self._objects[key] = found
        self._emit(resource, "MODIFIED" if before else "ADDED", before, found)
        return web.json_response(found, status=201 if new else 200)

    def _emit(self, resource: str, kind: str, before: Object | None, after: Object) -> None:
        self.version += 1
        after["metadata"]["resourceVersion"] = str(self.version)
        self._changes.append(Change(self.version, resource, kind, before, copy.deepcopy(after)))
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _list(self, request: web.Request, namespace: str, resource: str) -> web.Response:
        self.lists += 1
        items = [
            found
            for (space, kind, _), found in sorted(self._objects.items())
            if (space, kind) == (namespace, resource) and _selected(request, found)
        ]
        limit = int(request.query.get("limit") or len(items) or 1)
        start = int(request.query.get("continue") or 0)
        metadata: Object = {"resourceVersion": str(self.version)}
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        page = items[start : start + limit]
        return web.json_response({"kind": "List", "metadata": metadata, "items": page})

    async def _watch(
        self, request: web.Request, namespace: str, resource: str
    ) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.watches.append(response)
        at = int(request.query["resourceVersion"])
        loop = asyncio.get_running_loop()
        end = loop.time() + float(request.query["timeoutSeconds"])
        while loop.time() < end:
            if at < self.compacted:
                await _send(response, "ERROR", Refusal(410, "Expired").body)
                return response
            news = self._news
            for change in [change for change in self._changes if change.version > at]:
                at = change.version
                kind = _seen(request, namespace, resource, change)
                if kind is not None:
                    await _send(response, kind, change.after)
            try:
                async with asyncio.timeout(min(self.bookmark_s, max(0.0, end - loop.time()))):
                    await news.wait()
            except TimeoutError:
                self.bookmarks += 1
                at = max(at, self.version) if not self._changes else at
                await _send(response, "BOOKMARK", {"metadata": {"resourceVersion": str(at)}})
        return response

    async def _review(self, request: web.Request) -> web.Response:
        body = await request.json()
        user = self.users.get(body["spec"]["token"])
        body["status"] = {"authenticated": user is not None, "user": user or {}}
        return web.json_response(body, status=201)


def _selected(request: web.Request, found: Object | None) -> bool:
    name, _, value = request.query.get("labelSelector", "").partition("=")
    if found is None:
        return False
    return not name or (found["metadata"].get("labels") or {}).get(name) == value


def _seen(request: web.Request, namespace: str, resource: str, change: Change) -> str | None:
    """An object that loses its label is deleted for who selects by it."""
    if change.resource != resource or change.after["metadata"]["namespace"] != namespace:
        return None
    before, after = _selected(request, change.before), _selected(request, change.after)
    if change.kind == "DELETED":
        return "DELETED" if before else None
    if after:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else None


async def _send(response: web.StreamResponse, kind: str, found: Object) -> None:
    await response.write(json.dumps({"type": kind, "object": found}).encode() + b"\n")


@asynccontextmanager
async def open_kube_server() -> AsyncIterator[KubeServer]:
    server = KubeServer()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
