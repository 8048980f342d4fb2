"""`${VAR}`, `${VAR:-default}`, `${file:path}`, `${aws_secret:name}` and `${aws_ssm:name}`: what they stand for, which is
looked up only when it is used."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from flicker_dagster.config.records import Record
from flicker_dagster.errors import SecretUnset

if TYPE_CHECKING:
    from flicker_dagster.config.whole_file import FlickerConfig

REFERENCE = re.compile(
    r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{file:(?P<file>[^}]+)\}"
    r"|\$\{(?P<service>aws_secret|aws_ssm):(?P<entry>[^}]+)\}"
)

#: As much as Kubernetes lets a secret hold; `${file:/dev/zero}` would never end.
MAX_SECRET_CHARS = 1024 * 1024

#: Keys whose values are secret even where they are written out in the file.
_SECRET_KEYS = re.compile(
    r"^(?!.*(^|\.)explain\.).*"  # what to do about a refusal, by its code
    r"(authorization|api[_-]?key|token|secret|password|passphrase|credential|cookie|[_-]key$|key_(json|pem)$|(^|\.)value$)"
    r"(?!.*_(header|field|param|url|in|headers)$)",
    re.IGNORECASE,
)


def is_secret_key(path: str) -> bool:
    """May what stands under this key, or dotted path, be a secret? `api_key_header` and its like only name one."""
    return _SECRET_KEYS.search(path) is not None


class Reference(msgspec.Struct, frozen=True):
    """One reference in a template: a variable, perhaps with a default, a file, or an entry of a service that keeps
    secrets."""

    name: str | None = None
    default: str | None = None
    file: str | None = None
    service: str | None = None
    entry: str | None = None

    @classmethod
    def of(cls, found: re.Match[str]) -> Reference:
        return cls(found["name"], found["default"], found["file"], found["service"], found["entry"])

    def __str__(self) -> str:
        if self.service:
            return f"${{{self.service}:{self.entry}}}"
        return f"${{file:{self.file}}}" if self.file else f"${{{self.name}}}"

    def value(self, env: Mapping[str, str], *, fresh: bool = False) -> str:
        """Raises SecretUnset. An empty variable counts as unset where there is a default, as in a shell. What a service
        gave is remembered for a few minutes, unless it is to be `fresh`."""
        if self.service is not None and self.entry is not None:
            from flicker_dagster.config.aws_secrets import aws_value

            return aws_value(self.service, self.entry, fresh=fresh)
        if self.file is not None:
            try:
                with open(self.file, encoding="utf-8") as file:
                    value = file.read(MAX_SECRET_CHARS + 1)
            except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no path
                why = (
                    "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", error)
                )
                raise SecretUnset(f"{self} cannot be read: {why}", reference=str(self)) from None
            if len(value) > MAX_SECRET_CHARS:
                raise SecretUnset(f"{self} holds more than {MAX_SECRET_CHARS:,} characters, expected a secret")
            return value.rstrip("\r\n")
        assert self.name is not None
        value = env.get(self.name)
        if value or (value is not None and self.default is None):
            return value
        if self.default is not None:
            return self.default
        raise SecretUnset(f"{self} is not set; set the environment variable {self.name}", reference=str(self))


def references(template: str) -> list[Reference]:
    """Every reference of a template, in order."""
    return [Reference.of(found) for found in REFERENCE.finditer(template) if found[0] != "$$"]


def resolve(template: str, *, env: Mapping[str, str] | None = None, fresh: bool = False) -> str:
    """The template with its references filled in; `$$` is a dollar. `fresh` asks services for what may have been rotated.
    Raises SecretUnset naming the first unset one."""
    env = os.environ if env is None else env

    def fill(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return Reference.of(found).value(env, fresh=fresh)

    return REFERENCE.sub(fill, template)


def without_references(template: str, *, instead: str) -> str:
    """The template with every reference replaced by the same text; for looking at what stands around them."""
    return REFERENCE.sub(lambda found: "$" if found[0] == "$$" else instead, template)


def unset_variables(config: FlickerConfig, env: Mapping[str, str]) -> list[str]:
    """One line for every reference that has no value here: file, line, source, key and variable. What all streams of a source
    lack is told once."""
    lines: list[str] = []
    for source in config.sources:
        for path, template in templates_of(source, ""):
            for reference in references(template):
                try:
                    reference.value(env)
                except SecretUnset as error:
                    key = source.path_of(path.removeprefix("."), str(reference))
                    lines.append(f"{source.line_of(key)}: {source.source_name}: {key}: {error}")
    return list(dict.fromkeys(lines))


def parameters_of(written: dict[str, object]) -> dict[str, str]:
    """The references that stand in the parameters of a source as the user wrote it, each with its path."""
    found = texts_of(written.get("params"), "params")
    return {str(reference): path for path, text in found for reference in references(text)}


_MAY_HOLD_TEXT = (str, Record, dict, list, tuple)


def templates_of(record: Record, path: str) -> Iterator[tuple[str, str]]:
    """Every text of a record that holds a reference, with its path."""
    return ((at, text) for at, text in texts_of(record, path) if references(text))


def texts_of(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Every text inside a record, mapping or list, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Record | dict):
        for key, inner in (value if isinstance(value, dict) else vars(value)).items():
            if isinstance(inner, _MAY_HOLD_TEXT):
                yield from texts_of(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from texts_of(inner, f"{path}[{index}]")
