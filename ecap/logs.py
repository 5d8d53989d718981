"""JSON lines on stdout, or readable lines on a terminal, with the ids of the call.

`bind(request_id=..., trace_id=..., principal=...)` adds fields to every line
written in the same task and the tasks it starts.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import msgspec

_fields: ContextVar[Mapping[str, Any]] = ContextVar("ecap_log_fields", default={})  # noqa: B039  never mutated

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def get(name: str) -> logging.Logger:
    return logging.getLogger(name)


@contextmanager
def bind(**fields: Any) -> Iterator[None]:
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def set_fields(fields: Mapping[str, Any]) -> None:
    """Replace the bound fields of this task; for an edge that owns the task."""
    _fields.set(fields)


def bound() -> Mapping[str, Any]:
    return _fields.get()


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k not in _STANDARD}


def _utc(at: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at % 1 * 1000):03d}Z"


class JsonFormatter(logging.Formatter):
    def __init__(self, *, service: str) -> None:
        super().__init__()
        self._service = service

    def line(self, at: float, name: str, text: str, fields: Mapping[str, Any]) -> str:
        head = {"ts": _utc(at), "level": "info", "service": self._service, "logger": name}
        return msgspec.json.encode({**head, "msg": text, **fields}).decode() + "\n"

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": _utc(record.created),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "msg": record.getMessage(),
            **_fields.get(),
            **_extras(record),
        }
        if record.exc_info:
            line["exc"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, separators=(",", ":"))


class TerminalFormatter(logging.Formatter):
    def __init__(self, *, service: str) -> None:
        super().__init__()
        self._service = service

    def line(self, at: float, name: str, text: str, fields: Mapping[str, Any]) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(at))
        tail = " ".join(f"{k}={v}" for k, v in fields.items())
        return f"{clock} {'info':<7} {self._service:<13} {text}  {tail}\n"

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = {**_fields.get(), **_extras(record)}
        tail = "  " + " ".join(f"{k}={v}" for k, v in fields.items()) if fields else ""
        line = (
            f"{clock} {record.levelname.lower():<7} {self._service:<13} {record.getMessage()}{tail}"
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def write_lines(name: str, lines: Iterable[tuple[float, str, Mapping[str, Any]]]) -> None:
    """Many lines of (time, text, fields) at level INFO in one write, past `logging`'s cost."""
    logger = logging.getLogger(name)
    root = logging.getLogger("ecap")
    if not logger.isEnabledFor(logging.INFO) or not root.handlers:
        return
    handler = root.handlers[0]
    formatter = handler.formatter
    assert isinstance(handler, logging.StreamHandler)
    assert isinstance(formatter, JsonFormatter | TerminalFormatter)
    handler.stream.write(
        "".join(formatter.line(at, name, text, fields) for at, text, fields in lines)
    )
    handler.flush()


def setup(
    *, service: str, level: str = "INFO", style: Literal["auto", "json", "terminal"] = "auto"
) -> None:
    """Route the `ecap` loggers of this process to stdout, once; later calls adjust."""
    handler = logging.StreamHandler(sys.stdout)
    terminal = style == "terminal" or (style == "auto" and sys.stdout.isatty())
    handler.setFormatter(
        TerminalFormatter(service=service) if terminal else JsonFormatter(service=service)
    )
    root = logging.getLogger("ecap")
    root.handlers[:] = [handler]
    root.propagate = False
    set_level(level)


def set_level(level: str) -> None:
    logging.getLogger("ecap").setLevel(level.upper())
