from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from e2e.system import System
from fault.system.load import Loading, load

from ecap.clients.postgres import Pool
from ecap.demo.books.books import Books
from ecap.demo.shoppers.shelf import Shelf

_SET_ASIDE = "SELECT count(*) FROM stream.dead_letters"


@pytest.fixture
def loading(system: System, books: Pool, shelf: Shelf) -> Loading:
    return lambda: load(system, Books(books), shelf)


@pytest.fixture(autouse=True)
async def well(system: System, books: Pool) -> AsyncIterator[None]:
    """Each test leaves the system as well as it found it, and nothing is set aside."""
    await system.well()
    before = await books.fetchval(_SET_ASIDE)
    yield
    await system.well()
    assert await books.fetchval(_SET_ASIDE) == before
