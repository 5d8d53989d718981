"""`ecap exporter`."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated

import typer

from ecap import metrics

app = typer.Typer(add_completion=False)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name is http.server's
        if self.path == "/healthz":
            self._answer(200, b"ok\n", "text/plain")
        elif self.path == "/metrics":
            self._answer(200, metrics.exposition(), metrics.CONTENT_TYPE)
        else:
            self._answer(404, b"", "text/plain")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """A scrape every few seconds is no news."""


def server(port: int) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("", port), _Handler)


@app.command()
def main(port: Annotated[int, typer.Option(min=1, max=65535)] = 9464) -> None:
    """Serve the metrics of every process that shares PROMETHEUS_MULTIPROC_DIR.

    For a pod of a cluster: the gateway's `/metrics` answers for the node its replica is
    on, and behind a load balancer nobody knows which one that is. There is no token, so
    a NetworkPolicy has to say who may connect.
    """
    server(port).serve_forever()
