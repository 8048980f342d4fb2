"""`${VAR}`, `${VAR:-default}` and `${file:path}`: resolved when used, and masked wherever text leaves the program."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import msgspec

from flicker_dagster.config.models import FlickerConfig, Record, SourceConfig
from flicker_dagster.errors import SecretUnset

_REFERENCE = re.compile(
    r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{file:(?P<file>[^}]+)\}"
)

#: Shorter values are words of the language as often as they are secrets; masking them would tear every message.
SHORTEST_SECRET = 4

MASK = "***"

#: Keys whose values are secret even where they are written out in the file.
_SECRET_KEYS = re.compile(
    r"(authorization|api[_-]?key|token|secret|password|cookie|^value$)(?!.*_(header|field|param)$)", re.IGNORECASE
)


class Reference(msgspec.Struct, frozen=True):
    """One reference in a template: a variable, perhaps with a default, or a file."""

    name: str | None = None
    default: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        return f"${{file:{self.file}}}" if self.file else f"${{{self.name}}}"

    def value(self, env: Mapping[str, str]) -> str:
        """Raises SecretUnset. An empty variable counts as unset where there is a default, as in a shell."""
        if self.file is not None:
            try:
                return Path(self.file).read_text().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise SecretUnset(f"{self} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        assert self.name is not None
        value = env.get(self.name)
        if value or (value is not None and self.default is None):
            return value
        if self.default is not None:
            return self.default
        raise SecretUnset(f"{self} is not set; set the environment variable {self.name}")


def references(template: str) -> list[Reference]:
    """Every reference of a template, in order."""
    return [
        Reference(found["name"], found["default"], found["file"])
        for found in _REFERENCE.finditer(template)
        if found[0] != "$$"
    ]


def resolve(template: str, *, env: Mapping[str, str] | None = None) -> str:
    """The template with its references filled in; `$$` is a dollar. Raises SecretUnset naming the first unset one."""
    env = os.environ if env is None else env

    def fill(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return Reference(found["name"], found["default"], found["file"]).value(env)

    return _REFERENCE.sub(fill, template)


def unset_variables(config: FlickerConfig, env: Mapping[str, str]) -> list[str]:
    """One line for every reference that has no value here, with its file and line."""
    lines: list[str] = []
    for number, source in enumerate(config.sources):
        for path, template in templates_of(source, f"api_sources[{number}]"):
            for reference in references(template):
                try:
                    reference.value(env)
                except SecretUnset as error:
                    lines.append(f"{config.path}:{config.line_of(path)}: {path}: {error}")
    return lines


def templates_of(record: Record, path: str) -> Iterator[tuple[str, str]]:
    """Every text of a record that holds a reference, with its path."""
    for name in type(record).model_fields:
        yield from _templates(getattr(record, name), f"{path}.{name}")


def _templates(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if references(value):
            yield path, value
    elif isinstance(value, Record):
        yield from templates_of(value, path)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _templates(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _templates(inner, f"{path}[{index}]")


class Masker:
    """Replaces known secret values in texts, in every spelling in which one may turn up there."""

    def __init__(self, values: list[str]) -> None:
        self._values = sorted({value for value in values if len(value) >= SHORTEST_SECRET}, key=len, reverse=True)
        spellings = {spelling for value in self._values for spelling in _spellings(value)}
        ordered = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    @classmethod
    def for_source(cls, source: SourceConfig, env: Mapping[str, str] | None = None) -> Masker:
        """Everything secret of a source: what its references stand for, and what its secret keys spell out.

        An unset reference has no value to hide; using it raises elsewhere.
        """
        env = os.environ if env is None else env
        values: list[str] = []
        for path, template in templates_of(source, source.name):
            for reference in references(template):
                try:
                    value = reference.value(env)
                except SecretUnset:
                    continue
                if value != reference.default and not _is_address(value):
                    values.append(value)
            if _SECRET_KEYS.search(path):
                values += _words(template, env)
        values += _literal_secrets(source)
        return cls(values)

    def mask(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def seal(self, text: str) -> str:
        """Replace secrets in a URL by placeholders, so that it may be kept as a cursor."""
        for number, value in enumerate(self._values):
            for spelling in (quote(value, safe=""), quote_plus(value), value):
                text = text.replace(spelling, f"${{secret:{number}}}")
        return text

    def unseal(self, text: str) -> str:
        """The URL again, with the secrets of today in place."""
        for number, value in enumerate(self._values):
            text = text.replace(f"${{secret:{number}}}", quote(value, safe=""))
        return text


def _spellings(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    yield quote(value)
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    encoded = base64.b64encode(value.encode()).decode()
    yield encoded.rstrip("=")
    yield base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


def _words(template: str, env: Mapping[str, str]) -> list[str]:
    """The words of a secret value: of `SSWS abc` the second is the secret, and a vendor may show it alone."""
    try:
        return [word for word in resolve(template, env=env).split() if len(word) >= 8]
    except SecretUnset:
        return []


def _literal_secrets(source: SourceConfig) -> list[str]:
    """Secrets written out in the file instead of referred to."""
    found: list[str] = []
    records: list[tuple[str, object]] = [("source", source)]
    while records:
        path, value = records.pop()
        if isinstance(value, Record):
            records += [(name, getattr(value, name)) for name in type(value).model_fields]
        elif isinstance(value, dict):
            records += list(value.items())
        elif isinstance(value, str) and _SECRET_KEYS.search(path) and not references(value):
            found += [word for word in value.split() if len(word) >= 8]
    return found


def _is_address(value: str) -> bool:
    """An endpoint from the environment is no secret, and hiding it would hide what went wrong."""
    return value.startswith(("http://", "https://")) and "@" not in value
