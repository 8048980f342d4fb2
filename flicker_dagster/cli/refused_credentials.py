"""Credentials that were refused while a command asks one stream after the other: no other stream asks with them again."""

from __future__ import annotations

from flicker_dagster.config.accounts import origin_written
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.written import credentials_sent
from flicker_dagster.errors import CredentialsRefused, FlickerError, SecretUnset


class RefusedCredentials:
    """What the streams asked so far have shown. What one of them was answered with is not given up for the refusal of another:
    some vendors say 401 where a right is missing."""

    def __init__(self) -> None:
        self._refused: dict[object, str] = {}
        self._answered: set[object] = set()

    def first_refused(self, source: SourceConfig) -> str | None:
        """The stream whose credentials were refused, where this one has the same."""
        return self._refused.get(_known_by(source))

    def note(self, source: SourceConfig, error: FlickerError | None) -> None:
        known_by = _known_by(source)
        if error is None:
            self._answered.add(known_by)
        elif known_by not in self._answered and _is_theirs(source, error):
            self._refused.setdefault(known_by, source.name)


def _known_by(source: SourceConfig) -> object:
    return (source.vendor_key, origin_written(source.endpoint), credentials_sent(source))


def _is_theirs(source: SourceConfig, error: FlickerError) -> bool:
    """Is it about the credentials, and nothing else of this stream?"""
    if isinstance(error, SecretUnset):
        return error.reference is not None and any(error.reference in text for _, text in credentials_sent(source))
    return isinstance(error, CredentialsRefused)
