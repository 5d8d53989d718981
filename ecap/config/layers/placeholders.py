"""`${NAME}` and `${NAME:default}` in values of files and ConfigMaps; `$${` is a plain `${`.

The text of a variable, and a default, may hold placeholders again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ecap.errors import Misconfigured

_DEEPEST = 16
_LONGEST = 64 * 1024  # variables of variables can double a text again and again
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def expand(value: Any, environ: Mapping[str, str], *, where: str) -> Any:
    """Raises Misconfigured naming `where` and the variable; never a variable's value."""
    if isinstance(value, Mapping):
        return {name: expand(item, environ, where=where) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [expand(item, environ, where=where) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    return _Text(environ, where).expand(value, ())


class _Text:
    def __init__(self, environ: Mapping[str, str], where: str) -> None:
        self._environ = environ
        self._where = where
        self._length = 0

    def expand(self, text: str, within: tuple[str, ...], depth: int = 0) -> str:
        if depth > _DEEPEST:
            raise Misconfigured(f"{self._where}: placeholders are nested too deeply")
        parts: list[str] = []
        at = 0
        while (found := text.find("${", at)) != -1:
            if found > at and text[found - 1] == "$":
                parts.append(text[at : found - 1] + "${")
                at = found + 2
                continue
            parts.append(text[at:found])
            end = self._end(text, found + 2)
            parts.append(self._variable(text[found + 2 : end], within, depth))
            at = end + 1
            self._length += len(parts[-1])
            if self._length > _LONGEST:
                raise Misconfigured(f"{self._where}: placeholders make the text too long")
        parts.append(text[at:])
        return "".join(parts)

    def _end(self, text: str, start: int) -> int:
        depth = 1
        for at in range(start, len(text)):
            if text.startswith("${", at):
                depth += 1
            elif text[at] == "}":
                depth -= 1
                if depth == 0:
                    return at
        raise Misconfigured(f"{self._where}: '${{' has no closing '}}'")

    def _variable(self, body: str, within: tuple[str, ...], depth: int) -> str:
        name, has_default, default = body.partition(":")
        if not _NAME.match(name):
            raise Misconfigured(f"{self._where}: write ${{NAME}} or ${{NAME:default}}")
        if name in within:
            circle = " -> ".join((*within[within.index(name) :], name))
            raise Misconfigured(f"{self._where}: variables refer to each other: {circle}")
        found = self._environ.get(name)
        if found is not None:
            return self.expand(found, (*within, name), depth + 1) if "${" in found else found
        if not has_default and within:
            # The name comes out of a variable's text, which may be a secret.
            raise Misconfigured(
                f"{self._where}: the variable {within[-1]} refers to one that is not set"
            )
        if not has_default:
            raise Misconfigured(
                f"{self._where}: the environment variable {name} is not set;"
                f" set it or write ${{{name}:default}}"
            )
        return self.expand(default, within, depth + 1)
