"""The page at `/docs`: Swagger UI, served from here so that no other site is asked.

The files are those of the package flask-swagger-ui, the one that follows Swagger UI's
releases on PyPI; its Python code, and Flask, are not imported.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from ecap.errors import Misconfigured, NotFound
from ecap.serve.endpoints.answers import accepts_gzip
from ecap.serve.endpoints.routing import Raw

_PACKAGE = "flask_swagger_ui"
_KINDS: Mapping[str, str] = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
_START = "start.js"
_START_JS = b"""window.ui = SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true,
  docExpansion: "none", persistAuthorization: false, validatorUrl: null,
});
"""
_PAGE = b"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ECAP API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the document itself is <a href="/openapi.json">here</a>.
</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
"""
# Swagger UI writes style attributes, no style elements, and draws its icons as data URLs.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none';"
    " form-action 'none'"
)


def page() -> Raw:
    headers = (("content-security-policy", CSP), ("cache-control", "no-cache"))
    return Raw(_PAGE, "text/html; charset=utf-8", headers=headers)


async def asset(name: str, *, accept_encoding: bytes) -> Raw:
    """Raises NotFound for a file the page does not need."""
    if name == _START:
        return Raw(_START_JS, "text/javascript; charset=utf-8")
    if name not in _KINDS:
        raise NotFound("no such file")
    plain, packed, release = await asyncio.to_thread(_load, name)
    headers = [
        ("etag", f'"{release}"'),
        ("cache-control", "public, max-age=86400"),
        ("vary", "accept-encoding"),
    ]
    if accepts_gzip(accept_encoding):
        headers.append(("content-encoding", "gzip"))
    else:
        packed = plain
    return Raw(packed, _KINDS[name], headers=tuple(headers))


@cache
def _load(name: str) -> tuple[bytes, bytes, str]:
    """The file, the same compressed once, and the release it is from."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise Misconfigured("the package flask-swagger-ui is not installed")
    content = Path(spec.origin).parent.joinpath("dist", name).read_bytes()
    return content, gzip.compress(content, mtime=0), version(_PACKAGE)
