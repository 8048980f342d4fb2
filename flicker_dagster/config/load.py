"""Loading `config.yaml`: YAML with lines, presets beneath, validation, and every fault at once in the user's words."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flicker_dagster.config import soql
from flicker_dagster.config.accounts import alike_notes, check_accounts
from flicker_dagster.config.check import check_destination, check_lanes, check_renamed, check_source, check_together
from flicker_dagster.config.destinations import Destination
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.explain import Problem, explain, one_of, suggestion
from flicker_dagster.config.file_text import read_file_text
from flicker_dagster.config.groups import RetryConfig
from flicker_dagster.config.models import SourceConfig, nearest_line
from flicker_dagster.config.numbers import fill_numbers
from flicker_dagster.config.records import CENTURY_MS
from flicker_dagster.config.secrets import parameters_of
from flicker_dagster.config.shown import shown
from flicker_dagster.config.spans import notes_of
from flicker_dagster.config.streams import streams_of
from flicker_dagster.config.vendors import presets
from flicker_dagster.config.whole_file import LONGEST_NAMESPACE, NAMESPACE_PATTERN, RETENTIONS, FlickerConfig, Overrule
from flicker_dagster.config.yaml_lines import Document
from flicker_dagster.errors import ConfigError

TOP_LEVEL = ("api_sources", "namespace", "retry", "destinations", *RETENTIONS)
ELSEWHERE = {
    "log_files": "this Flicker collects api_sources only; ship files with your log agent",
    "docker_containers": "this Flicker collects api_sources only; ship container logs with your log agent",
}

#: After these the rest is only counted.
MOST_PROBLEMS_TOLD = 100
MOST_PROBLEM_CHARS = 1000

#: Stands in for a destination or a required key that has a fault of its own, so that the rest can be checked.
_ANY_DESTINATION = {"type": "http", "endpoint": "https://any.invalid"}
_ANY_SOURCE = {
    "name": "any",
    "endpoint": "https://any.invalid",
    "polling_frequency_ms": 1,
    "timestamp_field": "time",
    "destination": _ANY_DESTINATION,
}


def load_config(path: str, *, env: Mapping[str, str] | None = None) -> FlickerConfig:
    """The configuration of a file. Raises ConfigError with one line per fault, in the order of the file.

    Unset secrets are no fault here: they break their own source when it runs, and `unset_variables` lists them.
    """
    return parse_config(read_file_text(path), path=path, env=env)


def parse_config(text: str, *, path: str, env: Mapping[str, str] | None = None) -> FlickerConfig:
    """The configuration of a text, whose faults are told as those of the file `path`. Raises ConfigError."""
    return _Load(path, text, os.environ if env is None else env).run()


class _Load:
    def __init__(self, path: str, text: str, env: Mapping[str, str]) -> None:
        self.path = path
        self.env = env
        self.document = Document(text)
        self.problems = [Problem(*each) for each in self.document.problems]
        self.overruled: list[Overrule] = []
        self.notes: list[str] = []
        self.named: dict[str, DestinationRecord] = {}

    def run(self) -> FlickerConfig:
        data = self.document.data
        if not isinstance(data, dict):
            if not self.problems:
                what = "is empty" if data is None else f"found {_kind(data)} at the top"
                self._add("", f"{what}, expected a mapping with the key api_sources")
            raise self._error()
        self._top_level(data)
        retry, destinations = self._retry(data), self._destinations(data)
        raws = {f"api_sources[{number}]": raw for number, raw in enumerate(self._sources(data))}
        sources = {path: self._source(raw, path, retry, destinations) for path, raw in raws.items()}
        names = [(path, raw.get("name")) for path, raw in raws.items() if isinstance(raw, dict)]
        streams = [(path, stream.name) for path, found in sources.items() for stream in found if stream.stream]
        self.problems += check_together(
            [(path, name) for path, name in names if isinstance(name, str)] + streams, self._line
        )
        renamed = [(path, raw.get("renamed_from")) for path, raw in raws.items() if isinstance(raw, dict)]
        self.problems += check_renamed(
            [(path, name) for path, name in names if isinstance(name, str)],
            [(path, earlier) for path, earlier in renamed if isinstance(earlier, str)],
            self._line,
        )
        self.problems += check_accounts(sources, self._line)
        retentions = {key: data.get(key, FlickerConfig.model_fields[key].default) for key in RETENTIONS}
        for key, retention in retentions.items():
            if not isinstance(retention, int) or isinstance(retention, bool) or not 0 <= retention <= CENTURY_MS:
                self._add(key, f"found {shown(retention)}, expected a whole number of milliseconds")
        namespace = self._namespace(data)
        if self.problems:
            raise self._error()
        return FlickerConfig(
            path=self.path,
            sources=[source.within(namespace) for found in sources.values() for source in found],
            destinations=self.named,
            namespace=namespace,
            **retentions,
            overruled=self.overruled,
            notes=self.notes + alike_notes(sources),
            lines=self.document.lines,
        )

    def _lines_within(self, path: str) -> dict[str, int]:
        """The lines of a source's paths, as seen from the source."""
        within = {at[len(path) + 1 :]: line for at, line in self.document.lines.items() if at.startswith(f"{path}.")}
        return within | {"": self._line(path)}

    def _lines_of_stream(self, path: str, stream: str) -> dict[str, int]:
        """The lines of a stream's own keys, at the paths that these have in its source."""
        own = f"{path}.streams.{stream}"
        return {path + at[len(own) :]: line for at, line in self.document.lines.items() if at.startswith(f"{own}.")}

    # -- parts of the file

    def _top_level(self, data: dict[Any, Any]) -> None:
        for key in data:
            if key in TOP_LEVEL or str(key).startswith("x-"):
                continue
            if key in ELSEWHERE:
                self._add(str(key), ELSEWHERE[key])
            elif key in SourceConfig.model_fields:
                self._add(str(key), "unknown key here; it belongs to a source, an entry of api_sources")
            else:
                self._add(str(key), f"unknown key, expected {one_of(TOP_LEVEL)}{suggestion(key, TOP_LEVEL)}")

    def _sources(self, data: dict[Any, Any]) -> list[Any]:
        if "api_sources" not in data:
            self._add("", "api_sources is missing, expected a list of sources")
            return []
        sources = data["api_sources"]
        if not isinstance(sources, list) or not sources:
            found = "an empty list" if sources in ([], None) else _kind(sources)
            self._add("api_sources", f"found {found}, expected a list with at least one source")
            return []
        return sources

    def _namespace(self, data: dict[Any, Any]) -> str:
        found = data.get("namespace", "")
        if found == "" or (
            isinstance(found, str) and len(found) <= LONGEST_NAMESPACE and re.fullmatch(NAMESPACE_PATTERN, found)
        ):
            return found
        what = f"found {shown(found)}, expected letters, digits and single underscores, such as prod or team_a"
        self._add("namespace", f"{what}; {LONGEST_NAMESPACE} characters at most, a letter first")
        return ""

    def _retry(self, data: dict[Any, Any]) -> dict[Any, Any]:
        """The retry keys that all sources share; none where they have a fault."""
        raw = data.get("retry")
        if raw is None:
            return {}
        return raw if self._validated(RetryConfig, raw, "retry", "retry") is not None else {}

    def _destinations(self, data: dict[Any, Any]) -> dict[Any, Any]:
        """The named destinations. One with a fault is told of here, and is any destination to its sources."""
        found = data.get("destinations") or {}
        if not isinstance(found, dict):
            self._add("destinations", f"found {_kind(found)}, expected a mapping of names to destinations")
            return {}
        usable: dict[Any, Any] = {}
        for name, raw in found.items():
            path, before = f"destinations.{name}", len(self.problems)
            destination = self._validated(Destination, raw, path, "destination")
            if destination is not None:
                self.problems += check_destination(destination, path, self._line)
                self.named[str(name)] = destination
            usable[name] = raw if len(self.problems) == before else _ANY_DESTINATION
        return usable

    def _validated(self, kind: Any, raw: Any, path: str, root: str) -> Any:
        filled = fill_numbers(raw, path, self._add, self.env, kind)
        try:
            return TypeAdapter(kind).validate_python(filled)
        except ValidationError as error:
            self._explain(error, filled, path, root)
            return None

    def _source(self, raw: Any, path: str, retry: dict[Any, Any], destinations: dict[Any, Any]) -> list[SourceConfig]:
        """The streams of an entry of `api_sources`; none where it has a fault."""
        if not isinstance(raw, dict):
            self._add(path, f"found {_kind(raw)}, expected a source: a mapping with name, endpoint, destination …")
            return []
        shared = self._with_shared(dict(raw), path, retry, destinations)
        found: list[SourceConfig] = []
        lines = self.document.lines
        for stream, merged, overruled in streams_of(shared, path, self._add_once):
            self.document.lines = lines | self._lines_of_stream(path, stream)
            for each in overruled:
                placed = each.model_copy(update={"line": self._line(f"{path}.{each.key}")})
                if placed not in self.overruled:
                    self.overruled.append(placed)
            self._complete_query(raw, merged, path)
            source = self._stream(raw, merged, path)
            if source is not None:
                source = source.as_stream(stream, former=raw.get("renamed_from")) if stream else source
                found.append(source.written(self.path, self._lines_within(path), parameters_of(raw)))
        self.document.lines = lines
        return found

    def _stream(self, written: dict[Any, Any], raw: dict[Any, Any], path: str) -> SourceConfig | None:
        """One stream of a source, as `written` and with everything beneath; None where it has a fault of its types."""
        named = written.get("destination")
        own = [number for number, each in enumerate(_as_list(named)) if not isinstance(each, str)]
        raw = fill_numbers(raw, path, self._add_once, self.env, SourceConfig)
        faulty: set[Any] = set()
        try:
            source = SourceConfig.model_validate(raw)
        except ValidationError as error:
            self._explain(error, raw, path, "source")
            faulty = {fault["loc"][0] for fault in error.errors()}
            sound = {key: raw[key] for key in SourceConfig.model_fields if key in raw and key not in faulty}
            source = SourceConfig.model_validate(_ANY_SOURCE | sound)
        self._tell(check_source(source, path, self._line))
        for key, words in notes_of(source):
            note = f"{self.path}:{self._line(f'{path}.{key}')}: {source.name}: {key}: {words}"
            if note not in self.notes:
                self.notes.append(note)
        for number, record in enumerate(_as_list(source.destination)):
            if number in own and "destination" not in faulty:
                at = f"{path}.destination[{number}]" if isinstance(named, list) else f"{path}.destination"
                self._tell(check_destination(record, at, self._line))
        self._tell(check_lanes(source, path, self._line))
        return None if faulty else source

    def _with_shared(
        self, raw: dict[Any, Any], path: str, retry: dict[Any, Any], destinations: dict[Any, Any]
    ) -> dict[Any, Any]:
        """Global retry beneath, a named destination in place, shorthands written out."""
        own = raw.get("retry", {})
        if retry and isinstance(own, dict):
            raw["retry"] = retry | own
        raw_destination = raw.get("destination")
        if isinstance(raw_destination, list):
            raw["destination"] = [
                self._named(each, f"{path}.destination[{number}]", destinations, in_list=True)
                for number, each in enumerate(raw_destination)
            ]
        else:
            if "destination" in raw:
                raw["destination"] = self._named(raw_destination, f"{path}.destination", destinations, in_list=False)
        for key in ("match_on", "exclude_on"):
            if isinstance(raw.get(key), list):
                raw[key] = [{"pattern": each} if isinstance(each, str) else each for each in raw[key]]
        return raw

    def _named(self, raw: Any, path: str, destinations: dict[Any, Any], *, in_list: bool) -> Any:
        """A destination that is a name, as the mapping behind it. In a list that name is its lane's."""
        if not isinstance(raw, str):
            return raw
        if raw not in destinations:
            known = ", ".join(map(str, destinations)) or "none is defined"
            what = f"found the name {raw!r}, expected one under destinations ({known})"
            self._add(path, what + suggestion(raw, destinations))
            return _ANY_DESTINATION | ({"name": raw} if in_list else {})
        self._same_lines(path, f"destinations.{raw}")
        found = destinations[raw]
        return {"name": raw, **found} if in_list and isinstance(found, dict) else found

    def _same_lines(self, path: str, as_path: str) -> None:
        """What a source takes from elsewhere in the file stands on the lines over there."""
        lines = self.document.lines
        lines |= {path + at[len(as_path) :]: line for at, line in lines.items() if at.startswith(f"{as_path}.")}

    def _complete_query(self, written: dict[Any, Any], merged: dict[Any, Any], path: str) -> None:
        preset = presets().get(str(merged.get("vendor")))
        if preset is None or preset.completes != "soql" or "each" in merged:  # what is queried are no events then
            return
        wrong = soql.complete(merged)
        if wrong:
            own = "endpoint" if "query_params" not in written else "query_params.q"
            self._add_once(f"{path}.{own}", wrong)

    # -- problems

    def _add(self, path: str, what: str) -> None:
        self.problems.append(Problem(self._line(path), path, what))

    def _add_once(self, path: str, what: str) -> None:
        """The streams of a source share its keys, and the faults of these."""
        self._tell([Problem(self._line(path), path, what)])

    def _tell(self, problems: list[Problem]) -> None:
        self.problems += [problem for problem in problems if problem not in self.problems]

    def _explain(self, error: ValidationError, raw: Any, path: str, root: str) -> None:
        told = {problem.path for problem in self.problems}
        found = explain(error, raw, path, self._line, root=root)
        self.problems += [problem for problem in found if problem.path not in told]

    def _line(self, path: str) -> int:
        return nearest_line(self.document.lines, path)

    def _error(self) -> ConfigError:
        told = sorted(dict.fromkeys(self.problems), key=lambda problem: problem.line)
        lines = [f"{self.path}:{problem.line}: {_told(problem)}" for problem in told[:MOST_PROBLEMS_TOLD]]
        if len(told) > MOST_PROBLEMS_TOLD:
            lines.append(f"{self.path}:{told[-1].line}: and {len(told) - MOST_PROBLEMS_TOLD} more, down to this line")
        return ConfigError(lines)


def _told(problem: Problem) -> str:
    text = f"{problem.path}: {problem.what}" if problem.path else problem.what
    return text if len(text) <= MOST_PROBLEM_CHARS else f"{text[:MOST_PROBLEM_CHARS]}…"


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)
