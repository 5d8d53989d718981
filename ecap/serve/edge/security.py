"""What a browser is told to refrain from (OWASP's secure headers), on every answer."""

from __future__ import annotations

from collections.abc import Sequence

from ecap.config.settings.http import Http
from ecap.serve.endpoints.answers import Header

_EVERY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
# Of what brings none of its own: JSON that is opened in a window runs and loads nothing.
_NOTHING = (
    b"content-security-policy",
    b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
)


def headers(given: Sequence[Header], http: Http) -> Sequence[Header]:
    """`given` is what the answer has already."""
    found = list(_EVERY)
    if not any(name == b"content-security-policy" for name, _ in given):
        found.append(_NOTHING)
    if http.hsts_max_age_s:
        found.append((b"strict-transport-security", b"max-age=%d" % http.hsts_max_age_s))
    return found
