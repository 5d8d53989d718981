"""The sockets of actors: real ones, real processes, and what may come in over them."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.actors.wire.calls import SocketTransport
from ecap.actors.wire.listener import listening
from ecap.actors.wire.packets import answered, question
from ecap.actors.wire.sockets import MAX_BODY_BYTES
from ecap.errors import Conflict, DeadlineExceeded, EcapError, Misconfigured, Unavailable

CHILD = Path(__file__).with_name("socket_child.py")
HEAD = struct.Struct("!IQ")
VERSION = b"\x01"


class Actor:
    """Answers with the payload, unless `method` says otherwise."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.open = asyncio.Event()

    async def handle(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        self.seen.append(payload)
        match method:
            case "wait":
                await self.open.wait()
            case "sleep":
                await asyncio.sleep(payload[1])
            case "conflict":
                raise Conflict("no stock", products=["p1"])
            case "bug":
                raise KeyError("x")
            case "lambda":
                return lambda: None
            case "bytes":
                return bytes(payload)
        return payload

    async def answer(self, asked: bytes) -> bytes:
        return await answered("a", self.handle, asked)


class Beyond:
    """Where calls go that no socket takes."""

    def __init__(self) -> None:
        self.calls = 0

    async def send(
        self, method: str, payload: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        self.calls += 1
        return "beyond"


@contextmanager
def calling(folder: Path, actor: str = "a", **more: Any) -> Iterator[SocketTransport]:
    transport = SocketTransport(actor, folder, **{"beyond": Beyond(), **more})
    yield transport
    transport.close()


@asynccontextmanager
async def acting(folder: Path) -> AsyncIterator[tuple[Actor, SocketTransport]]:
    actor = Actor()
    async with listening("a", folder, actor.answer):
        with calling(folder) as transport:
            yield actor, transport


@asynccontextmanager
async def raw(folder: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection by hand, after the greeting of the listener."""
    reader, writer = await asyncio.open_unix_connection(folder / "a.sock")
    assert await reader.readexactly(1) == VERSION
    yield reader, writer
    writer.close()


def frame(number: int, body: bytes) -> bytes:
    return HEAD.pack(len(body), number) + body


async def settled(value: Callable[[], int], *, least: int = 1) -> None:
    """When `value()` has come so far, and not changed for a while."""
    before = 0
    while before < least or before != value():
        before = value()
        await asyncio.sleep(0.1)


async def test_answers_come_in_any_order(tmp_path: Path) -> None:
    async with acting(tmp_path / "s") as (actor, transport):
        slow = asyncio.create_task(transport.send("wait", "slow", {}, 5), name="slow")
        assert await transport.send("", "fast", {}, 5) == "fast"
        assert not slow.done()
        actor.open.set()
        assert await slow == "slow"


async def test_calls_of_one_process_share_a_connection(tmp_path: Path) -> None:
    """Also the first ones, which come together."""
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(VERSION)
        await reader.read()
        writer.close()

    (tmp_path / "s").mkdir(mode=0o700)
    async with await asyncio.start_unix_server(count, tmp_path / "s" / "a.sock"):
        with calling(tmp_path / "s") as transport:
            calls = [transport.send("", None, {}, 0.1) for _ in range(20)]
            found = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(one) for one in found} == {DeadlineExceeded}
    assert connections == 1


async def test_the_actors_errors_keep_their_facts(tmp_path: Path) -> None:
    async with acting(tmp_path / "s") as (_, transport):
        with pytest.raises(Conflict) as caught:
            await transport.send("conflict", None, {}, 5)
    assert caught.value.facts == {"products": ["p1"]}


@pytest.mark.parametrize(("method", "text"), [("bug", r"KeyError\('x'\)"), ("lambda", "pickle")])
async def test_what_goes_wrong_in_the_actor_is_an_answer(
    tmp_path: Path, method: str, text: str
) -> None:
    async with acting(tmp_path / "s") as (_, transport):
        with pytest.raises(EcapError, match=f"^a: {method} failed: .*{text}") as caught:
            await transport.send(method, None, {}, 5)
        assert type(caught.value) is EcapError
        assert await transport.send("", 1, {}, 5) == 1


async def test_a_question_that_is_no_pickle_is_answered(tmp_path: Path) -> None:
    async with acting(tmp_path / "s"), raw(tmp_path / "s") as (reader, writer):
        writer.write(VERSION + frame(7, b"no pickle"))
        size, number = HEAD.unpack(await reader.readexactly(HEAD.size))
        assert number == 7
        found = pickle.loads(await reader.readexactly(size))  # noqa: S301  our own
        assert "a question failed" in found.error.detail


async def test_a_call_without_answer_ends_in_time_and_is_forgotten(tmp_path: Path) -> None:
    async with acting(tmp_path / "s") as (actor, transport):
        with pytest.raises(DeadlineExceeded, match=r"^a: no answer in 0\.050 s$"):
            await transport.send("wait", None, {}, 0.05)
        task = asyncio.create_task(transport.send("wait", None, {}, 5), name="cancelled")
        await settled(lambda: len(actor.seen))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (way,) = transport._ways.values()
        assert way.line is not None
        assert way.line._pending == {}
        actor.open.set()  # the answers come now, and nobody minds
        assert await transport.send("", 1, {}, 5) == 1


async def test_an_answer_beyond_the_limit_is_an_error(tmp_path: Path) -> None:
    async with acting(tmp_path / "s") as (_, transport):
        with pytest.raises(EcapError, match="too large"):
            await transport.send("bytes", MAX_BODY_BYTES + 1, {}, 30)
        assert await transport.send("", 1, {}, 5) == 1


async def test_a_question_beyond_the_limit_goes_the_other_way(tmp_path: Path) -> None:
    async with acting(tmp_path / "s") as (actor, transport):
        assert await transport.send("", bytes(MAX_BODY_BYTES + 1), {}, 30) == "beyond"
    assert actor.seen == []


# ---- processes that die


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Listening in the place of its predecessor."""
    path = folder / "child.sock"
    before = path.stat().st_ino if path.exists() else None
    child = subprocess.Popen([sys.executable, CHILD, folder])  # noqa: ASYNC220  killed by hand
    while not path.exists() or path.stat().st_ino == before:  # noqa: ASYNC110  another process
        await asyncio.sleep(0.02)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def test_a_killed_peer_fails_its_calls_and_its_successor_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    now = 0.0
    beyond = Beyond()
    with calling(folder, "child", beyond=beyond, clock=lambda: now) as transport:
        async with started(folder) as first:
            assert await transport.send("", None, {}, 5) == first.pid
            hanging = asyncio.create_task(transport.send("hang", None, {}, 30), name="hanging")
            await asyncio.sleep(0.3)
            first.send_signal(signal.SIGKILL)
            with pytest.raises(Unavailable, match=r"^child has died$") as caught:
                await hanging
            assert caught.value.retry_after_s == 0.1

        assert (folder / "child.sock").exists()
        assert await transport.send("", None, {}, 5) == "beyond"
        async with started(folder) as second:
            # Found to be stale within this second: it is not tried by every call.
            assert await transport.send("", None, {}, 5) == "beyond"
            now = 1.0
            assert await transport.send("", None, {}, 5) == second.pid
    assert beyond.calls == 2


async def test_only_its_own_file_is_removed(tmp_path: Path) -> None:
    """One that ends late does not take the place of its successor away."""
    path = tmp_path / "s" / "a.sock"
    first = listening("a", tmp_path / "s", Actor().answer)
    await first.__aenter__()
    async with acting(tmp_path / "s") as (_, transport):
        await first.__aexit__(None, None, None)
        assert [one.name for one in path.parent.iterdir()] == ["a.sock"]
        assert await transport.send("", 1, {}, 5) == 1
    assert not path.exists()


async def test_an_actor_that_stops_hangs_up(tmp_path: Path) -> None:
    with calling(tmp_path / "s") as transport:
        actor = Actor()
        async with listening("a", tmp_path / "s", actor.answer):
            calls = [transport.send("wait", None, {}, 30) for _ in range(1500)]
            waiting = asyncio.gather(*calls, return_exceptions=True)
            await settled(lambda: len(actor.seen), least=1000)
        assert {type(one) for one in await waiting} == {Unavailable}
        assert await transport.send("", None, {}, 5) == "beyond"


async def test_what_waits_for_its_turn_does_not_begin_when_the_actor_stops(tmp_path: Path) -> None:
    async with acting(tmp_path / "s") as (actor, _), raw(tmp_path / "s") as (_, writer):
        asked = question("wait", None, {})
        writer.write(VERSION + b"".join(frame(n, asked) for n in range(1500)))
        await settled(lambda: len(actor.seen), least=1000)
    await asyncio.sleep(0)
    assert len(actor.seen) == 1000
    assert not [one for one in asyncio.all_tasks() if "answers" in one.get_name()]


# ---- folders


def spoilt(folder: Path, how: str) -> Path:
    if how == "link":
        folder.with_name("real").mkdir(mode=0o700)
        folder.symlink_to("real")
    elif how == "file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod(int(how, 8))
    return folder


@pytest.mark.parametrize("how", ["link", "file", "0750", "0701", "0777"])
async def test_a_folder_that_is_not_ours_alone_is_refused(tmp_path: Path, how: str) -> None:
    folder = spoilt(tmp_path / "s", how)
    with pytest.raises(Misconfigured, match=r"mesh\.socket_dir: .*"):
        async with listening("a", folder, Actor().answer):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
async def test_a_folder_of_another_is_refused(tmp_path: Path) -> None:
    folder = spoilt(tmp_path / "s", "0700")
    os.chown(folder, 12345, -1)
    with pytest.raises(Misconfigured, match="belongs to the user 12345"):
        async with listening("a", folder, Actor().answer):
            pass


@pytest.mark.parametrize("how", ["link", "0750"])
async def test_a_caller_does_not_connect_there_either(tmp_path: Path, how: str) -> None:
    folder = spoilt(tmp_path / "s", how)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "a.sock"))
        listener.listen()
        with calling(folder) as transport, pytest.raises(Misconfigured, match="made with mode"):
            await transport.send("", None, {}, 5)


async def test_the_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    async with acting(tmp_path / "s"):
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("folder", "text"), [("x" * 120, "name a shorter folder"), ("a/b", "No such file")]
)
async def test_a_folder_that_cannot_be_is_refused(tmp_path: Path, folder: str, text: str) -> None:
    with pytest.raises(Misconfigured, match=text):
        async with listening("a", tmp_path / folder, Actor().answer):
            pass


async def test_the_longest_path_that_is_let_in_works() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as root:
        folder = Path(root) / ("x" * (104 - len("/a.sock") - len(root) - 1))
        async with acting(folder) as (_, transport):
            assert await transport.send("", 1, {}, 5) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_the_kernel_is_asked_who_is_at_the_other_end() -> None:
    """Should the folder ever be open."""
    with tempfile.TemporaryDirectory(dir="/tmp") as root:
        folder = Path(root) / "s"
        async with acting(folder):
            for path in (Path(root), folder, folder / "a.sock"):
                path.chmod(0o777)
            with socket.socket(socket.AF_UNIX) as stranger:
                os.seteuid(65534)
                try:
                    stranger.connect(str(folder / "a.sock"))
                finally:
                    os.seteuid(0)
                with pytest.raises(ConnectionError):
                    stranger.sendall(await asyncio.to_thread(stranger.recv, 1) or b"x")


# ---- what is no call


@pytest.mark.parametrize(
    "sent",
    [
        VERSION + HEAD.pack(MAX_BODY_BYTES + 1, 1),
        b"\x02",
        b"GET / HTTP/1.1\r\n\r\n",
        VERSION + b"\xff" * 100,
    ],
)
async def test_a_peer_that_speaks_otherwise_is_hung_up_on(tmp_path: Path, sent: bytes) -> None:
    async with acting(tmp_path / "s") as (actor, transport):
        async with raw(tmp_path / "s") as (reader, writer):
            writer.write(sent)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(1)
        assert await transport.send("", 1, {}, 5) == 1
        assert actor.seen == [1]


@pytest.mark.parametrize("greeting", [b"\x02", b"", None])
async def test_an_actor_of_another_version_is_reached_the_other_way(
    tmp_path: Path, greeting: bytes | None
) -> None:
    """None: it accepts and says nothing."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if greeting is None:
            await reader.read()
        else:
            writer.write(greeting)
        writer.close()

    (tmp_path / "s").mkdir(mode=0o700)
    async with await asyncio.start_unix_server(greet, tmp_path / "s" / "a.sock"):
        with calling(tmp_path / "s") as transport:
            for _ in range(2):
                assert await transport.send("", None, {}, 5) == "beyond"


async def test_garbage_from_the_actor_fails_the_call(tmp_path: Path) -> None:
    async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(VERSION)
        await reader.readexactly(1 + HEAD.size)
        writer.write(b"\xff" * 100)
        await reader.read()
        writer.close()

    (tmp_path / "s").mkdir(mode=0o700)
    async with await asyncio.start_unix_server(garble, tmp_path / "s" / "a.sock"):
        with calling(tmp_path / "s") as transport, pytest.raises(Unavailable):
            await transport.send("", None, {}, 5)


# ---- more than can be taken


async def test_no_more_calls_are_read_than_may_be_under_way(tmp_path: Path) -> None:
    async with acting(tmp_path / "s") as (actor, transport):
        calls = [transport.send("wait", n, {}, 30) for n in range(2500)]
        answers = asyncio.gather(*calls)
        await settled(lambda: len(actor.seen), least=1000)
        assert len(actor.seen) == 1000
        actor.open.set()
        assert await answers == list(range(2500))


async def test_who_reads_no_answers_is_asked_no_more(tmp_path: Path) -> None:
    """Answers of 100 kB: 5,000 of them would fill half a gigabyte."""
    async with acting(tmp_path / "s") as (actor, _), raw(tmp_path / "s") as (reader, writer):
        asked = question("bytes", 100_000, {})
        writer.write(VERSION + b"".join(frame(n, asked) for n in range(5000)))
        await settled(lambda: len(actor.seen), least=1000)
        # Those of one turn of the loop are begun before the first answer is written.
        assert len(actor.seen) <= 1000 + 10
        for _ in range(5000):
            size, _ = HEAD.unpack(await reader.readexactly(HEAD.size))
            await reader.readexactly(size)
        assert len(actor.seen) == 5000


async def test_a_caller_waits_for_an_actor_that_reads_slowly(tmp_path: Path) -> None:
    """Its questions wait unsent, so they are not held twice."""
    async with acting(tmp_path / "s") as (actor, transport):
        body = bytes(50_000)
        answers = asyncio.gather(*(transport.send("wait", body, {}, 30) for _ in range(1100)))
        await settled(lambda: len(actor.seen))
        (way,) = transport._ways.values()
        assert way.line is not None
        assert way.line.transport.get_write_buffer_size() < 200_000
        # Also a call that has not been sent yet ends in time.
        with pytest.raises(DeadlineExceeded):
            await transport.send("wait", body, {}, 0.05)
        actor.open.set()
        assert len(await answers) == 1100


# ---- a law

CALL = st.tuples(st.integers(0, 200_000), st.sampled_from([0.0, 0.0, 0.001, 0.003]))


@given(calls=st.lists(CALL, min_size=1, max_size=40))
async def test_each_call_gets_its_own_answer(calls: list[tuple[int, float]]) -> None:
    with tempfile.TemporaryDirectory() as root:
        async with acting(Path(root) / "s") as (_, transport):
            sent = [(n, delay_s, bytes(size)) for n, (size, delay_s) in enumerate(calls)]
            answers = await asyncio.gather(*(transport.send("sleep", p, {}, 30) for p in sent))
            assert answers == sent
