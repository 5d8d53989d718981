"""An operator who changes the configuration of the whole system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from e2e.people import Person
from e2e.system import until

PATH = "/api/v1/config"


class Operator:
    def __init__(self, person: Person) -> None:
        self._person = person

    async def ask(self, method: str, path: str = "", **options: Any) -> httpx.Response:
        return await self._person.ask(method, PATH + path, **options)

    async def get(self, path: str = "", **params: Any) -> Any:
        """Once the hub is there."""

        async def answered() -> httpx.Response | None:
            answer = await self.ask("GET", path, params=params)
            return None if answer.status_code >= 500 else answer

        answer: httpx.Response = await until(answered, what=f"an answer of {path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def version(self) -> int:
        return int((await self.get("/members"))["version"])

    async def value(self, key: str) -> Any:
        return (await self.get(f"/{key}")).get("value")

    async def write(
        self, method: str, path: str, *, seen: int | None = None, **options: Any
    ) -> httpx.Response:
        seen = await self.version() if seen is None else seen
        return await self.ask(method, path, headers={"if-match": f'"{seen}"'}, **options)

    async def set(self, key: str, value: Any, **more: Any) -> httpx.Response:
        body = {"value": value, "reason": "a test", **more}
        return await self.write("PUT", f"/{key}", json=body)

    async def unset(self, *keys: str) -> None:
        for key in keys:
            path = f"/{key}"
            answer = await self.write("DELETE", path, params={"reason": "a test is over"})
            assert answer.status_code in (200, 404), answer.text

    async def runs(self) -> dict[str, int]:
        """By member that is there."""
        found = (await self.get("/members"))["members"]
        return {one["member"]: one["running"] for one in found if one["state"] != "silent"}

    async def agreed(self, *, members: int) -> int:
        """Until at least that many members are there and all run what they are to run."""

        async def one_version() -> int | None:
            found = await self.get("/members")
            there = [one for one in found["members"] if one["state"] != "silent"]
            same = {one["running"] for one in there} == {found["version"]}
            return found["version"] if same and len(there) >= members else None

        return int(await until(one_version, what="one version everywhere"))

    async def newest(self, limit: int = 20) -> list[Mapping[str, Any]]:
        return list((await self.get("/history", limit=limit))["entries"])
