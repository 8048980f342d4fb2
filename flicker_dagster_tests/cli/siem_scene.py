"""`flicker test-destination` before a simulated receiver of any type."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from flicker_dagster.cli.main import cli
from flicker_dagster.simulator.siems import SIEMS, Siem

SECRET = "s1mulated-secret-of-some-length"
VARIABLE = "SIEM_SECRET"


class SiemScene:
    """A configuration with one named destination, whose credential comes from a variable, and a source that uses it."""

    def __init__(self, kind: str, home: Path) -> None:
        self.kind = kind
        self.home = home
        self.siem: Siem = SIEMS[kind](SECRET, 0)
        self.keys: dict[str, Any] = with_variable(self.siem) | {"type": kind, "timeout_ms": 5_000}
        self.env: dict[str, str | None] = {VARIABLE: SECRET}

    def test(self, *arguments: str, **keys: Any) -> Result:
        """Send an event to it, with some keys otherwise."""
        return self.run("siem", *arguments, **keys)

    def run(self, *arguments: str, **keys: Any) -> Result:
        config = {"destinations": {"siem": self.keys | keys}, "api_sources": [source("okta", destination="siem")]}
        path = self.home / "config.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        work = str(self.home / "work")
        return CliRunner().invoke(
            cli, ["-c", str(path), "--work-dir", work, "test-destination", *arguments], env=self.env
        )

    def asked(self, **keys: Any) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON."""
        done = self.test("--json", **keys)
        return done.exit_code, json.loads(done.stdout)

    def close(self) -> None:
        self.siem.close()


def source(name: str, **keys: Any) -> dict[str, Any]:
    return {
        "name": name,
        "endpoint": "https://vendor.invalid/events",
        "polling_frequency_ms": 30_000,
        "timestamp_field": "time",
        **keys,
    }


def with_variable(siem: Siem) -> dict[str, Any]:
    """The record's keys, with a reference in the place of the credential."""
    keys = copy.deepcopy(siem.keys)
    inner = keys
    *path, last = siem.secret.split(".")
    if last:
        for name in path:
            inner = inner[name]
        inner[last] = inner[last].replace(SECRET, f"${{{VARIABLE}}}")
    return keys
