"""Is an address of `config.yaml` one that can be asked? By the words of urllib3, which opens the connections."""

from __future__ import annotations

import re

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from flicker_dagster.config.secrets import without_references
from flicker_dagster.config.shown import shown

_SCHEME = re.compile(r"https?://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MAX_HOST_CHARS, MAX_LABEL_CHARS = 253, 63  # RFC 1035, 2.3.4


def endpoint_fault(template: str) -> str | None:
    """What is wrong with an endpoint, or None. What a `${…}` stands for is not known yet: it fits wherever it stands."""
    if template.startswith("${"):
        return None
    url = without_references(template, instead="1")  # a digit may stand in a host, a port and a path
    if not _SCHEME.match(url):
        return f"found {shown(template)}, expected a URL that begins with https:// or http://"
    if _CONTROL.search(url):
        return "holds a control character or a line break, expected a URL on one line"
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if "\\" in re.split(r"[?#]", url, maxsplit=1)[0]:
        return "holds a backslash, which some read as a slash, expected a URL without one"
    if "@" in authority:  # not shown: a password may stand there
        return "holds a user or password before the host, expected them under basic or auth"
    return _host_fault(url, authority)


def _host_fault(url: str, authority: str) -> str | None:
    try:
        parsed = parse_url(url)
    except LocationParseError:
        return f"found the host {shown(authority)}, expected a name or address and a port from 1 to 65535"
    if not parsed.host:
        return f"found {shown(url)}, which names no host, expected a URL such as https://api.example.com/events"
    if parsed.port == 0:
        return "found the port 0, expected one from 1 to 65535"
    labels = parsed.host.rstrip(".").split(".")
    if len(parsed.host) > MAX_HOST_CHARS or not all(0 < len(label) <= MAX_LABEL_CHARS for label in labels):
        return f"found the host {shown(parsed.host)}, expected a name whose parts are 1 to {MAX_LABEL_CHARS} characters"
    return None
