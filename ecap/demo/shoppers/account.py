"""A person's account: opened on arrival, logged in to again now and then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from ecap.demo.shoppers.door import Answer, FrontDoor
from ecap.demo.shoppers.ledger import Ledger
from ecap.demo.shoppers.people import Person
from ecap.errors import Unavailable

BACKOFF_S = 0.5
_AUTH = "/api/v1/auth"


class Account:
    """`user` and `token` are None until it is open."""

    def __init__(self, person: Person, door: FrontDoor, ledger: Ledger, *, password: str) -> None:
        self._person = person
        self._door = door
        self._ledger = ledger
        self._password = password
        self.user: UUID | None = None
        self.token: str | None = None

    async def ask(self, method: str, path: str, **options: Any) -> Answer | None:
        """None when nobody answered."""
        try:
            return await self._door.ask(method, path, **options)
        except Unavailable:
            self._ledger.waited["no answer"] += 1
            return None

    async def register(self) -> bool:
        """Whether there is an account now, asked for as long as the run goes on."""
        body = {
            "email": self._person.email,
            "password": self._password,
            "display_name": self._person.name,
        }
        unheard = False
        while not self._door.closing:
            answer = await self.ask("POST", f"{_AUTH}/register", body=body)
            if answer is not None and answer.status == 201:
                self._is(answer.document["account"], answer.document["tokens"])
                return True
            if answer is not None and answer.status == 409 and unheard:
                return await self._recognised()
            if answer is not None and answer.status < 500:
                self._ledger.refused[f"register: {answer.problem}"] += 1
                return False
            unheard = unheard or answer is None
            await self._wait(answer, "register")
        return False

    async def _recognised(self) -> bool:
        """The account was made although nobody heard of it."""
        await self.log_in()
        answer = await self.ask("GET", f"{_AUTH}/me", token=self.token)
        if answer is None or answer.status != 200:
            return False
        self._is(answer.document, {"access_token": self.token})
        return True

    def _is(self, account: Mapping[str, Any], tokens: Mapping[str, Any]) -> None:
        self.user = UUID(account["id"])
        self.token = tokens["access_token"]
        self._ledger.users[self.user] = self._person

    async def log_in(self) -> None:
        body = {"email": self._person.email, "password": self._password}
        while not self._door.closing:
            answer = await self.ask("POST", f"{_AUTH}/login", body=body)
            if answer is not None and answer.status == 200:
                self.token = answer.document["access_token"]
                return
            if answer is not None and answer.status < 500:
                self._ledger.refused[f"log in: {answer.problem}"] += 1
                return
            await self._wait(answer, "log in")

    async def _wait(self, answer: Answer | None, what: str) -> None:
        if answer is not None:
            self._ledger.waited[f"{what}: {answer.problem}"] += 1
        await self._door.pause(answer.retry_after_s if answer is not None else BACKOFF_S)
