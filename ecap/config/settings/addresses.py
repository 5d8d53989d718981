"""Types of settings that say where something is: what is none is refused with what to write."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+|[^@\s]+@localhost")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})")
_WIDEST = {4: 8, 6: 7}  # 10.0.0.0/8 and fc00::/7 are networks of one's own


def _http(value: str, *, what: str = "https://HOST or http://HOST") -> str:
    """With a host and without a password: settings are shown."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError(f"write a URL, as {what}") from None
    printable = value.isprintable() and " " not in value
    if parts.scheme not in ("http", "https") or not parts.hostname or not printable:
        raise ValueError(f"write a URL, as {what}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL holds no user and no password: settings are shown")
    return value


def _https(value: str) -> str:
    parts = urlsplit(_http(value, what="https://HOST/PATH"))
    if parts.scheme == "http" and not _loopback(parts.hostname or ""):
        raise ValueError("what leaves this machine goes over https: write https://HOST/PATH")
    return value


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(value: str) -> str:
    if value == "*":
        return value
    parts = urlsplit(_http(value, what="https://HOST, or * for any"))
    if parts.path or parts.query or parts.fragment:
        raise ValueError("an origin is scheme, host and port alone, as https://HOST")
    return value


def _network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("write a network, as 10.1.0.0/16 or 10.1.2.3/32") from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    wide = network.prefixlen < _WIDEST[network.version]
    if wide or (mapped is not None and network.prefixlen < 96 + _WIDEST[4]) or _maps(network):
        raise ValueError("this is half the world: name the networks of your own proxies")
    return value


def _maps(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether every IPv4 address is in it, written as IPv6."""
    everything = ipaddress.ip_network("::ffff:0:0/96")
    return network.version == 6 and everything.subnet_of(network)  # type: ignore[arg-type]


def _host(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if not _HOST.fullmatch(value):
            raise ValueError("write a host name or an address, without port and scheme") from None
    return value


def _servers(value: str) -> str:
    for server in value.split(","):
        host, mark, port = server.strip().rpartition(":")
        if not (mark and port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
            raise ValueError("write HOST:PORT, several with commas")
        _host(host.removeprefix("[").removesuffix("]"))
    return value


def _email(value: str) -> str:
    if len(value) > 254 or not _EMAIL.fullmatch(value):
        raise ValueError("write an e-mail address, as name@example.com")
    return value


Url = Annotated[str, AfterValidator(_http)]
SafeUrl = Annotated[str, AfterValidator(_https)]
"""https, or http on this machine."""
Origin = Annotated[str, AfterValidator(_origin)]
Network = Annotated[str, AfterValidator(_network)]
Host = Annotated[str, AfterValidator(_host)]
Servers = Annotated[str, AfterValidator(_servers)]
Email = Annotated[str, AfterValidator(_email)]
