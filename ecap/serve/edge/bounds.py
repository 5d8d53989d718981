"""What the edge holds every request to; made anew for each change and swapped whole."""

from __future__ import annotations

from ecap.config.settings.http import Http
from ecap.config.settings.limits import Limits
from ecap.serve.edge.limits import ClientAddress


class Bounds:
    """Raises Misconfigured for what cannot be used."""

    __slots__ = ("client", "http", "rate")

    def __init__(self, http: Http, rate: Limits) -> None:
        self.http = http
        self.rate = rate
        self.client = ClientAddress(http.trusted_proxies)
