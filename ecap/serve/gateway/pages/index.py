"""The first page: where everything is."""

from __future__ import annotations

import html
from base64 import b64encode
from hashlib import sha256

import ecap
from ecap.serve.endpoints.routing import Raw
from ecap.serve.gateway.models import Index
from ecap.serve.gateway.prefixes import PREFIXES

INDEX = Index(
    version=ecap.__version__,
    links={
        "documentation": "/docs",
        "openapi": "/openapi.json",
        "health": "/healthz",
        "readiness": "/readyz",
        "metrics": "/metrics",
        "overview": "/api/v1/me/overview",
        "limits": "/api/v1/limits",
        "audit": "/api/v1/audit",
        "live": "/api/v1/analytics/live",
    },
    services=dict(PREFIXES),
)
_STYLE = "body { font: 16px/1.5 system-ui, sans-serif; margin: 3em auto; max-width: 40em }"
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_CSP = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>{style}</style>
<h1>{name} {version}</h1>
<p>Begin with the <a href="/docs">documentation</a>.</p>
<ul>
{links}
</ul>
"""


def prefers_html(accept: str | None) -> bool:
    """Browsers name text/html; tools do not."""
    return accept is not None and "text/html" in accept


def page() -> Raw:
    links = "\n".join(_link(name, path) for name, path in INDEX.links.items())
    text = _PAGE.format(style=_STYLE, name=INDEX.name, version=INDEX.version, links=links)
    headers = (("content-security-policy", _CSP), ("vary", "accept"))
    return Raw(text.encode(), "text/html; charset=utf-8", headers=headers)


def _link(name: str, path: str) -> str:
    name, path = html.escape(name), html.escape(path)
    return f'<li><a href="{path}">{name}</a> <code>{path}</code>'
