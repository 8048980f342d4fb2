"""Secrets are masked wherever text leaves the program, in every spelling in which they may turn up there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, quote, quote_plus, unquote

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.records import Record
from flicker_dagster.config.secrets import is_secret_key, references, resolve, texts_of
from flicker_dagster.config.spellings import RUN, Finder
from flicker_dagster.errors import SecretUnset
from flicker_dagster.lazy import lazy
from flicker_dagster.printable import cut, visible

#: Shorter values are words of the language as often as they are secrets; masking them would tear every message.
SHORTEST_SECRET = 4

#: Shorter words of a literal such as `Bearer abc` are names of schemes more often than secrets.
SHORTEST_WORD = 8

MASK = "***"

#: What lies further behind is not looked at where only a beginning is shown.
LOOKED_AT_CHARS = 8 * 1024

#: How a sealed text begins a placeholder. Where a text has this by itself, it is sealed as well: no one else can write one.
_MARK = "${secret:"
_PLACEHOLDER = re.compile(r"\$\{secret:(quoted|lower|plus|plain|text):([^}]*)\}")
_ITSELF = f"{_MARK}text:}}"

#: Texts of a source that are no secrets, even where they come from the environment: hiding them would hide what went wrong.
_NO_SECRETS = re.compile(
    r"source\.(name|vendor|description|start_from|window\b.*|tls\..*|destination(\[\d+\])?\.(tls\..*|type|name|format|normalise|ocsf_version|fields\..*)|[a-z_]*_(field|param|format)"
    r"|owners.*|match_on.*|exclude_on.*|pagination\..*|order)$"
)


#: Members of a service account's key file that are no secrets.
_PUBLIC = re.compile(r"type|project_id|client_email|[a-z0-9_]*_(uri|cert_url)|universe_domain")

#: Values by name that are sealed as well as masked, and what is masked only.
Found = tuple[Mapping[str, str], tuple[str, ...]]


class Masker:
    """Replaces known secret values in texts. Each value has a name, which outlives the value when it is changed.

    `values` are sealed as well as masked; `others` are masked only.
    """

    def __init__(self, values: Mapping[str, str] | list[str], *, others: tuple[str, ...] = ()) -> None:
        named = values if isinstance(values, Mapping) else {str(number): value for number, value in enumerate(values)}
        self._find: Callable[[], Found] = lambda: (named, others)

    @classmethod
    def for_source(cls, source: SourceConfig, env: Mapping[str, str] | None = None) -> Masker:
        """Everything secret of a source: what its references stand for, and what its secret keys spell out. It is looked up
        when something is first masked: a run without a message pays nothing for it.

        Only what belongs to requests to the vendor is ever filled into one; the destination's secrets are masked, and so
        are the credentials of the environment's proxies. An unset reference has no value to hide; using it raises
        elsewhere.
        """
        masker = cls([])
        masker._find = lambda: _found_in(source, os.environ if env is None else env)
        return masker

    @lazy
    def _found(self) -> Found:
        values, others = self._find()
        return {name.replace("}", ")"): text for name, text in values.items() if len(text) >= SHORTEST_SECRET}, others

    @lazy
    def _forms(self) -> dict[str, str]:
        """What is sealed, with the placeholder in place of it; the longest first."""
        forms: dict[str, str] = {_MARK: _ITSELF}
        for form, spell in _FORMS.items():
            for name, value in self._found[0].items():
                forms.setdefault(spell(value), f"{_MARK}{form}:{name}}}")
        return dict(sorted(forms.items(), key=lambda each: len(each[0]), reverse=True))

    @lazy
    def _sealed(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._forms)))

    @lazy
    def _finder(self) -> Finder:
        values, others = self._found
        secrets = [*values.values(), *others]
        return Finder(
            [value for value in secrets if len(value) >= RUN],
            short=[value for value in secrets if SHORTEST_SECRET <= len(value) < RUN],
        )

    def mask(self, text: str) -> str:
        """The text without secrets: no eight characters in a row of one remain, however they are spelt."""
        shown, at = [], 0
        for start, end in self._finder.spans(text):
            start += len(text[start:end]) - len(text[start:end].lstrip())  # of a secret of several words
            end -= len(text[start:end]) - len(text[start:end].rstrip())
            shown += [text[at:start], MASK]
            at = end
        return "".join([*shown, text[at:]])

    def shown(self, text: str, *, at_most: int) -> str:
        """A text from outside as a message may hold it: masked, on one line, and only then cut."""
        return cut(visible(self.mask(text[:LOOKED_AT_CHARS])), at_most)

    def seal(self, text: str) -> str:
        """Replace secrets in a URL by placeholders with their names, so that it may be kept as a cursor."""
        return self._sealed.sub(lambda found: self._forms[found[0]], text)

    def unseal(self, text: str) -> str:
        """The URL again, with the secrets of today in place. A name that is no longer known stays as it is."""
        values = self._found[0]

        def fill(found: re.Match[str]) -> str:
            form, name = found.groups()
            if form == "text":
                return _MARK if not name else found[0]
            return _FORMS[form](values[name]) if name in values else found[0]

        return _PLACEHOLDER.sub(fill, text)


def _plainly(value: str) -> str:
    return value


def _quoted(value: str) -> str:
    return quote(value, safe="")


def _lower(value: str) -> str:
    return re.sub("%..", lambda escape: escape[0].lower(), _quoted(value))


_FORMS = {"plain": _plainly, "quoted": _quoted, "lower": _lower, "plus": quote_plus}

#: Before the name of a secret that the vendor has no use for.
_DESTINATION = "destination:"


def _found_in(source: SourceConfig, env: Mapping[str, str]) -> Found:
    named = list(_secrets_of(source, env))
    ours: dict[str, str] = {}
    for name, value in named:
        if not name.startswith(_DESTINATION):
            ours.setdefault(name, value)
    others = [value for name, value in named if name.startswith(_DESTINATION)]
    addresses = [address for record in source.lanes.values() for address in record.addresses()]
    for template in (source.endpoint, *addresses):
        others += _parts_of_endpoint(template, env)
    return ours, (*others, *_proxy_credentials())


def _secrets_of(source: SourceConfig, env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names and values."""
    for path, text in texts_of(source, "source"):
        if _NO_SECRETS.match(path):
            continue
        whose = _DESTINATION if path.startswith("source.destination") else ""
        for reference in references(text):
            try:
                value = reference.value(env)
            except SecretUnset:
                continue
            if value != reference.default and not _is_address(value):
                for member, secret in secrets_in(value).items():
                    yield whose + str(reference)[2:-1] + member, secret
        if is_secret_key(path):
            for number, word in enumerate(_words(text, env)):
                yield f"{whose}{path}#{number}", word
    yield from _pairs(source, "source", env)


def secrets_in(value: str) -> dict[str, str]:
    """What of a secret value must not be shown. Of a JSON object that holds a private key, such as a service account's file,
    by member: all but addresses, hosts and the names that stand for types and projects, which every message would lose."""
    try:
        found = json.loads(value) if value.lstrip()[:1] == "{" and "PRIVATE KEY-----" in value else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return {"": value}
    texts = {f".{name}": inner for name, inner in found.items() if isinstance(inner, str)}
    nested = {f".{name}": json.dumps(inner) for name, inner in found.items() if not isinstance(inner, str)}
    return nested | {name: text for name, text in texts.items() if not _PUBLIC.fullmatch(name[1:])}


def _words(template: str, env: Mapping[str, str]) -> list[str]:
    """The words of a secret value: of `SSWS abc` the second is the secret, and a vendor may show it alone."""
    try:
        secrets = secrets_in(resolve(template, env=env)).values()
        return [word for secret in secrets for word in secret.split() if len(word) >= SHORTEST_WORD]
    except SecretUnset:
        return []


def _pairs(record: Record, path: str, env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """`user:password` of every basic authentication, which its header holds in base64, and the password alone."""
    for name in type(record).model_fields:
        inner = getattr(record, name)
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, Record):
                yield from _pairs(each, f"{path}.{name}", env)
    user, password = getattr(record, "username", None), getattr(record, "password", None)
    if isinstance(user, str) and isinstance(password, str):
        whose = _DESTINATION if path.startswith("source.destination") else ""
        try:
            yield whose + path, f"{resolve(user, env=env)}:{resolve(password, env=env)}"
            yield f"{whose}{path}.password", resolve(password, env=env)
        except SecretUnset:
            return


# -- addresses


def _is_address(value: str) -> bool:
    """An endpoint from the environment is no secret as a whole, and hiding it would hide what went wrong."""
    return re.match(r"https?://", value, re.IGNORECASE) is not None


def has_own_path(template: str, env: Mapping[str, str] | None) -> bool:
    """Does a variable give an endpoint more than its server: a path or query that the configuration does not show?"""
    found = references(template)
    if not found or not template.startswith(str(found[0])[:-1]):
        return False
    try:
        address = found[0].value(os.environ if env is None else env)
    except SecretUnset:
        return False
    return re.match(r"[^/]*//[^/?#]*/?$", address) is None and _is_address(address)


def shown_endpoint(template: str) -> str:
    """An endpoint as the configuration has it, without what is written out there and a credential by itself."""
    return Masker([], others=tuple(_tokens_of(re.sub(r"\$\{[^}]*\}", "", template)))).mask(template)


def _parts_of_endpoint(template: str, env: Mapping[str, str]) -> Iterator[str]:
    """What of an endpoint may be a secret: user and password, and in path and query what looks like a token.

    A webhook's address is its own credential.
    """
    try:
        yield from _tokens_of(resolve(template, env=env))
    except SecretUnset:
        return


def _tokens_of(address: str) -> Iterator[str]:
    rest = address.partition("://")[2]
    authority, slash, rest = rest.partition("/")
    yield from _user_and_password(authority)
    path, _, query = (slash + rest).partition("#")[0].partition("?")
    for segment in path.split("/"):
        if _looks_like_a_token(segment, shortest=SHORTEST_WORD):
            yield segment
    for name, value in parse_qsl(query):
        if len(value) >= SHORTEST_SECRET and (
            is_secret_key(name) or _looks_like_a_token(value, shortest=SHORTEST_WORD)
        ):
            yield value


def _looks_like_a_token(text: str, *, shortest: int) -> bool:
    """Long, and not made of words: with a digit among its letters, or capitals in the middle."""
    if len(text) < shortest or re.fullmatch(r"[a-z]+([-_.][a-z]+)*|[a-z]{3,}([A-Z][a-z]{2,}){1,4}|v[0-9.]+", text):
        return False  # `audit-logs`, `directoryAudits`, `v1.0`
    return re.search(r"[0-9]", text) is not None or re.search(r"[a-z][A-Z]", text) is not None or len(text) >= 20


def _user_and_password(authority: str) -> Iterator[str]:
    before, at, _ = authority.rpartition("@")
    for part in before.split(":", 1) if at else ():
        yield from (each for each in {part, unquote(part)} if len(each) >= SHORTEST_SECRET)


def _proxy_credentials() -> Iterator[str]:
    for name, address in os.environ.items():
        if name.lower().endswith("_proxy") and "@" in address:
            authority = address.partition("://")[2] or address
            yield from _user_and_password(authority.partition("/")[0])


def shown_destinations(destinations: Iterable[DestinationRecord]) -> list[str]:
    """Where events go, as the configuration has it: addresses without secrets, or what else there is to name."""
    return [
        ", ".join(shown_endpoint(address) for address in record.addresses()) or record.lane_name
        for record in destinations
    ]
