"""What the HAProxy of this node has counted, by service: its own answers reach no replica.

Read from the page of statistics that Serve gives it. The counts begin anew with each
process of HAProxy, which is one for each change of its configuration.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

_PORT_VARIABLE = "RAY_SERVE_HAPROXY_STATS_PORT"
_RAYS_PORT = 8404
_PATIENCE_S = 2.0
# As Serve names the services, and where HAProxy leads what belongs to none.
_SERVICE = "http-"
_NOBODYS = "default_backend"
UNMATCHED = "unmatched"
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


@dataclass(frozen=True)
class Told:
    """`answers` by class of status; `replicas` that are well, none for what has no service."""

    answers: Mapping[str, int]
    replicas: int | None


def told() -> dict[str, Told] | None:
    """By service; None when HAProxy does not answer."""
    port = int(os.environ.get(_PORT_VARIABLE) or _RAYS_PORT)
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/stats;csv")
        answer = connection.getresponse()
        page = answer.read().decode() if answer.status == 200 else ""
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return read(page) if page.startswith("# pxname,") else None


def read(page: str) -> dict[str, Told]:
    rows = csv.DictReader(page.removeprefix("# ").splitlines())
    found = {}
    for row in rows:
        if row["svname"] != "BACKEND":
            continue
        answers = {kind: int(row[f"hrsp_{kind}"] or 0) for kind in _CLASSES}
        if row["pxname"] == _NOBODYS:
            found[UNMATCHED] = Told(answers, None)
        elif row["pxname"].startswith(_SERVICE):
            found[row["pxname"].removeprefix(_SERVICE)] = Told(answers, int(row["act"] or 0))
    return found
