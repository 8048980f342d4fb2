"""Loading `config.yaml`: YAML with lines, presets beneath, validation, and every fault at once in the user's words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flicker_dagster.config import soql
from flicker_dagster.config.check import check_source, check_together
from flicker_dagster.config.explain import Problem, explain, suggestion
from flicker_dagster.config.models import (
    FlickerConfig,
    Overrule,
    SourceConfig,
    destination_adapter,
    nearest_line,
)
from flicker_dagster.config.numbers import fill_numbers
from flicker_dagster.config.vendors import GENERIC, lay_beneath, presets, recognise
from flicker_dagster.config.yaml_lines import Document
from flicker_dagster.errors import ConfigError

TOP_LEVEL = ("api_sources", "retry", "destinations", "ledger_retention_ms")
ELSEWHERE = {
    "log_files": "this Flicker collects api_sources only; ship files with your log agent",
    "docker_containers": "this Flicker collects api_sources only; ship container logs with your log agent",
}


def load_config(path: str, *, env: Mapping[str, str] | None = None) -> FlickerConfig:
    """The configuration of a file. Raises ConfigError with one line per fault, in the order of the file.

    Unset secrets are no fault here: they break their own source when it runs, and `unset_variables` lists them.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; name the configuration with -c"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None
    return _Load(path, text, os.environ if env is None else env).run()


class _Load:
    def __init__(self, path: str, text: str, env: Mapping[str, str]) -> None:
        self.path = path
        self.env = env
        self.document = Document(text)
        self.problems = [Problem(line, "", what) for line, what in self.document.problems]
        self.overruled: list[Overrule] = []
        self.notes: list[str] = []

    def run(self) -> FlickerConfig:
        data = self.document.data
        if not isinstance(data, dict):
            if not self.problems:
                what = "is empty" if data is None else f"found {_kind(data)} at the top"
                self._add("", f"{what}, expected a mapping with the key api_sources")
            raise self._error()
        self._top_level(data)
        destinations = self._destinations(data)
        sources = [
            source
            for number, raw in enumerate(self._sources(data))
            if (source := self._source(raw, f"api_sources[{number}]", data, destinations)) is not None
        ]
        self.problems += check_together(sources, self._line)
        retention = data.get("ledger_retention_ms", FlickerConfig.model_fields["ledger_retention_ms"].default)
        if not isinstance(retention, int) or isinstance(retention, bool) or retention < 0:
            self._add("ledger_retention_ms", f"found {retention!r}, expected a whole number of milliseconds")
        if self.problems:
            raise self._error()
        return FlickerConfig(
            path=self.path,
            sources=[source for _, source in sources],
            ledger_retention_ms=retention,
            overruled=self.overruled,
            notes=self.notes,
            lines=self.document.lines,
        )

    # -- parts of the file

    def _top_level(self, data: dict[Any, Any]) -> None:
        for key in data:
            if key in TOP_LEVEL or str(key).startswith("x-"):
                continue
            if key in ELSEWHERE:
                self._add(str(key), ELSEWHERE[key])
            else:
                self._add(str(key), f"unknown key, expected one of {', '.join(TOP_LEVEL)}{suggestion(key, TOP_LEVEL)}")

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

    def _destinations(self, data: dict[Any, Any]) -> dict[str, Any]:
        found = data.get("destinations") or {}
        if not isinstance(found, dict):
            self._add("destinations", f"found {_kind(found)}, expected a mapping of names to destinations")
            return {}
        for name, raw in found.items():
            path = f"destinations.{name}"
            try:
                destination_adapter().validate_python(fill_numbers(raw, path, self._trouble, self.env))
            except ValidationError as error:
                self.problems += explain(error, raw, path, self._line, root="destination")
        return found

    def _source(
        self, raw: Any, path: str, data: dict[Any, Any], destinations: dict[str, Any]
    ) -> tuple[str, SourceConfig] | None:
        if not isinstance(raw, dict):
            self._add(path, f"found {_kind(raw)}, expected a source: a mapping with name, endpoint, destination …")
            return None
        before = len(self.problems)
        raw = self._with_preset(self._with_shared(dict(raw), path, data, destinations), path)
        raw = fill_numbers(raw, path, self._trouble, self.env)
        try:
            source = SourceConfig.model_validate(raw)
        except ValidationError as error:
            self.problems += explain(error, raw, path, self._line, root="source")
            return None
        self.problems += check_source(source, path, self._line)
        return None if len(self.problems) > before else (path, source)

    def _with_shared(
        self, raw: dict[Any, Any], path: str, data: dict[Any, Any], destinations: dict[str, Any]
    ) -> dict[Any, Any]:
        """Global retry beneath, a named destination in place, shorthands written out."""
        shared, own = data.get("retry"), raw.get("retry")
        if isinstance(shared, dict) and (own is None or isinstance(own, dict)):
            raw["retry"] = shared | (own or {})
        elif shared is not None and not isinstance(shared, dict):
            self._add("retry", f"found {_kind(shared)}, expected a mapping such as {{max_retries: 5}}")
        name = raw.get("destination")
        if isinstance(name, str):
            if name in destinations:
                raw["destination"] = destinations[name]
            else:
                known = ", ".join(destinations) or "none is defined"
                self._add(
                    f"{path}.destination",
                    f"found the name {name!r}, expected one under destinations ({known}){suggestion(name, destinations)}",
                )
                raw["destination"] = {"type": "http", "endpoint": "http://unknown.invalid"}
        for key in ("match_on", "exclude_on"):
            if isinstance(raw.get(key), list):
                raw[key] = [{"pattern": each} if isinstance(each, str) else each for each in raw[key]]
        return raw

    def _with_preset(self, raw: dict[Any, Any], path: str) -> dict[Any, Any]:
        vendor = raw.get("vendor")
        if isinstance(vendor, str) and vendor != GENERIC and vendor not in presets():
            known = [GENERIC, *presets()]
            self._add(
                f"{path}.vendor", f"found {vendor!r}, expected one of {', '.join(known)}{suggestion(vendor, known)}"
            )
            return raw
        preset = None if vendor == GENERIC else recognise(raw)
        if preset is None:
            return raw
        merged, overruled = lay_beneath(preset, raw, name=str(raw.get("name", path)))
        self.overruled += [o.model_copy(update={"line": self._line(f"{path}.{o.key}")}) for o in overruled]
        if preset.completes == "soql":
            wrong = soql.complete(merged)
            if wrong:
                own = "endpoint" if "query_params" not in raw else "query_params"
                self._add(f"{path}.{own}", wrong)
        return merged

    # -- problems

    def _add(self, path: str, what: str) -> None:
        self.problems.append(Problem(self._line(path), path, what))

    def _trouble(self, path: str, what: str) -> None:
        self._add(path, what)

    def _line(self, path: str) -> int:
        return nearest_line(self.document.lines, path)

    def _error(self) -> ConfigError:
        lines = sorted(set(self.problems), key=lambda problem: problem.line)
        return ConfigError([f"{self.path}:{p.line}: {p.path + ': ' if p.path else ''}{p.what}" for p in lines])


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)
