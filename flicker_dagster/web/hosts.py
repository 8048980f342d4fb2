"""Names under which the web UI answers: `Host` and `Origin` read strictly, because a page of somebody else may choose them.

A web page can have its own name resolved to 127.0.0.1 and then reads, and commands, what listens there. The name it uses
stays its own, in the `Host` header: that is what tells it from the UI's own pages.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_NAME = 253

_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,254}))(?::(?P<port>[0-9]{1,5}))?"
)
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#@\\]*)", re.IGNORECASE)
_LABELS = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")


@dataclass(frozen=True)
class Authority:
    """A host as it is compared: a name in lower case without its closing dot, or an address in its one spelling."""

    name: str
    port: int | None = None

    @property
    def is_loopback(self) -> bool:
        return self.name in ("localhost", "::1") or (_ipv4(self.name) is not None and self.name.startswith("127."))

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


@dataclass(frozen=True)
class Origin:
    """Where the page came from that makes a request, as its browser says."""

    scheme: str
    authority: Authority

    def is_at(self, host: Authority) -> bool:
        """Whether that page was served under the name and port that it asks now. The scheme is whatever the page says:
        TLS may end at a proxy."""
        default = DEFAULT_PORTS[self.scheme]
        return self.authority.name == host.name and (self.authority.port or default) == (host.port or default)


def parse_authority(text: str) -> Authority | None:
    """`name`, `name:port`, an IPv4 address or a bracketed IPv6 address with or without a port; None for all else."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    port = None if found["port"] is None else int(found["port"])
    if port is not None and not 0 < port < 65536:
        return None
    name = _ipv6(found["v6"]) if found["v6"] else _name(found["name"])
    return None if name is None else Authority(name, port)


def parse_origin(text: str) -> Origin | None:
    """The value of an `Origin` header; None for `null` and all else that is no http or https origin."""
    found = _ORIGIN.fullmatch(text)
    authority = parse_authority(found["authority"]) if found else None
    return None if found is None or authority is None else Origin(found["scheme"].lower(), authority)


def parse_allowed(text: str) -> Authority:
    """A name that an operator allows, with a port or without. Raises ValueError, saying what is wrong with it."""
    text = text.strip()
    bare = _ipv6(text)
    authority = Authority(bare) if bare else parse_authority(text)
    if authority is not None:
        return authority
    if "://" in text or "/" in text:
        raise ValueError(f"{text!r} is an address; name the host alone, such as flicker.example.com")
    if "*" in text:
        raise ValueError(f"{text!r} is a pattern; name each host, such as flicker.example.com")
    if not text.isascii():
        raise ValueError(f"{text!r} is no name as browsers send it; write its ASCII form (xn--…)")
    raise ValueError(f"{text!r} is no host; expected a name or an address such as flicker.example.com or 10.0.0.5:3000")


def answers_to(host: Authority, allowed: tuple[Authority, ...]) -> bool:
    """Whether the UI answers to this host: a loopback name, or one that the operator named.

    One named without a port is allowed with any; 80 and 443 are those that browsers leave out.
    """
    return host.is_loopback or any(
        each.name == host.name
        and (each.port is None or each.port == host.port or (host.port is None and each.port in (80, 443)))
        for each in allowed
    )


def _ipv4(text: str) -> str | None:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None


def _ipv6(text: str) -> str | None:
    try:
        return str(ipaddress.IPv6Address(text)) if "%" not in text else None
    except ValueError:
        return None


def _name(text: str) -> str | None:
    name = text.lower().removesuffix(".")
    return name if len(name) <= MAX_NAME and _LABELS.fullmatch(name) else None
