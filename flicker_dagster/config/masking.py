"""Secrets are masked wherever text leaves the program, in every spelling in which they may turn up there."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

from flicker_dagster.config.models import Record, SourceConfig
from flicker_dagster.config.secrets import is_secret_key, references, resolve, texts_of
from flicker_dagster.errors import SecretUnset

#: Shorter values are words of the language as often as they are secrets; masking them would tear every message.
SHORTEST_SECRET = 4

#: Shorter words of a literal such as `Bearer abc` are names of schemes more often than secrets.
SHORTEST_WORD = 8

MASK = "***"

# urllib3 writes whole request lines to its debug log and whole URLs to its warnings, secrets included, and knows no
# masks. What went wrong is said by our own errors, masked.
logging.getLogger("urllib3.connectionpool").addFilter(lambda record: False)

_PLACEHOLDER = re.compile(r"\$\{secret:(quoted|plus|plain):([^}]*)\}")


class Masker:
    """Replaces known secret values in texts. Each value has a name, which outlives the value when it is changed."""

    def __init__(self, values: Mapping[str, str] | list[str]) -> None:
        named = values if isinstance(values, Mapping) else {str(number): value for number, value in enumerate(values)}
        first: dict[str, str] = {}
        for name, value in named.items():
            if len(value) >= SHORTEST_SECRET:
                first.setdefault(value, name)
        longest_first = sorted(first.items(), key=lambda item: len(item[0]), reverse=True)
        self._named = [(name, value) for value, name in longest_first]
        self._plain = _any_of([f"({_spelled(value)})" for _, value in self._named])
        encoded = [re.escape(text) for _, value in self._named for text in _encoded(value)]
        self._all = _any_of(sorted(encoded, key=len, reverse=True) + [_spelled(value) for _, value in self._named])

    @classmethod
    def for_source(cls, source: SourceConfig, env: Mapping[str, str] | None = None) -> Masker:
        """Everything secret of a source: what its references stand for, and what its secret keys spell out.

        An unset reference has no value to hide; using it raises elsewhere.
        """
        return cls(dict(_secrets_of(source, os.environ if env is None else env)))

    def mask(self, text: str) -> str:
        return text if self._all is None else self._all.sub(MASK, text)

    def seal(self, text: str) -> str:
        """Replace secrets in a URL by placeholders with their names, so that it may be kept as a cursor."""
        return text if self._plain is None else self._plain.sub(self._placeholder, text)

    def unseal(self, text: str) -> str:
        """The URL again, with the secrets of today in place. A name that is no longer known stays as it is."""
        values = dict(self._named)

        def fill(found: re.Match[str]) -> str:
            form, name = found.groups()
            return _FORMS[form](values[name]) if name in values else found[0]

        return _PLACEHOLDER.sub(fill, text)

    def _placeholder(self, found: re.Match[str]) -> str:
        name, value = self._named[(found.lastindex or 1) - 1]
        form = next((form for form, spell in _FORMS.items() if spell(value) == found[0]), "quoted")
        return f"${{secret:{form}:{name}}}"


def _plainly(value: str) -> str:
    return value


def _quoted(value: str) -> str:
    return quote(value, safe="")


_FORMS = {"plain": _plainly, "quoted": _quoted, "plus": quote_plus}


def _secrets_of(source: SourceConfig, env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names and values. A value that stands in several places counts by its first name."""
    for path, text in texts_of(source, "source"):
        for reference in references(text):
            try:
                value = reference.value(env)
            except SecretUnset:
                continue
            if value != reference.default and not _is_address(value):
                yield str(reference)[2:-1], value
        if is_secret_key(path):
            for number, word in enumerate(_words(text, env)):
                yield f"{path}#{number}", word
    yield from _pairs(source, "source", env)


def _words(template: str, env: Mapping[str, str]) -> list[str]:
    """The words of a secret value: of `SSWS abc` the second is the secret, and a vendor may show it alone."""
    try:
        return [word for word in resolve(template, env=env).split() if len(word) >= SHORTEST_WORD]
    except SecretUnset:
        return []


def _pairs(record: Record, path: str, env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """`user:password` of every basic authentication: what its header holds in base64."""
    for name in type(record).model_fields:
        inner = getattr(record, name)
        if isinstance(inner, Record):
            yield from _pairs(inner, f"{path}.{name}", env)
    user, password = getattr(record, "username", None), getattr(record, "password", None)
    if isinstance(user, str) and isinstance(password, str):
        try:
            yield path, f"{resolve(user, env=env)}:{resolve(password, env=env)}"
        except SecretUnset:
            return


def _is_address(value: str) -> bool:
    """An endpoint from the environment is no secret, and hiding it would hide what went wrong."""
    return value.startswith(("http://", "https://")) and "@" not in value


def _any_of(patterns: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(patterns)) if patterns else None


def _spelled(value: str) -> str:
    """A pattern for the value in plain, in URLs, JSON, HTML and Python literals, and in any mixture of these."""
    return "".join(_spelled_character(character) for character in value)


def _spelled_character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    escapes = "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    percent = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    exact = {character, f"\\{character}", json.dumps(character)[1:-1], repr(character)[1:-1], html.escape(character)}
    if character == " ":
        exact.add("+")
    forms = [re.escape(text) for text in exact] + [f"(?i:{re.escape(text)})" for text in (escapes, percent)]
    return f"(?:{'|'.join(sorted(forms, key=len, reverse=True))})"


def _encoded(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogateescape")
    yield base64.b64encode(data).decode().rstrip("=")
    yield base64.urlsafe_b64encode(data).decode().rstrip("=")
