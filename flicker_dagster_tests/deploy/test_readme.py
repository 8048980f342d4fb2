"""The README's first source: its commands, run as they are printed, by somebody who has nothing but the README."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.deploy.builders import ROOT, run

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## A first source")[2].partition("\n## ")[0]
FIRST, SIMULATED = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """An empty directory in which `make setup` has been run."""
    assert Path(sys.prefix, "bin", "activate").exists(), "these tests run in the environment that `make setup` creates"
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "Makefile").write_text("setup:\n")
    return tmp_path


def typed(lines: str, checkout: Path) -> str:
    """What the lines say when they are pasted into a shell; every one of them must succeed."""
    leaving = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"  # even if a line fails
    done = run("bash", "-e", "-c", leaving + lines, cwd=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_its_first_source_is_valid_looked_at_and_delivered(checkout: Path) -> None:
    with World(vendors=("okta",), history_s=600, tokens={"okta": "k"}, siem=Receiver(token="s")) as world:
        here = {
            "endpoint: https://company.okta.com": f"vendor: okta\n    endpoint: {world.vendor('okta').url}",
            "OKTA_API_TOKEN='yours'": "OKTA_API_TOKEN='k'",
            "SIEM_API_KEY='yours'": "SIEM_API_KEY='s'",
            "'https://logs.company.com'": f"'{world.siem.url}'",
            "    timestamp_field": "    start_from: 1h\n    timestamp_field",  # what is there already, not what comes
            "okta.yaml --track ": "okta.yaml --track --once ",  # which would run for ever
        }
        lines = FIRST
        for printed, ours in here.items():
            assert lines.count(printed) == 1, printed
            lines = lines.replace(printed, ours)
        said = typed(lines, checkout)
        assert "okta.yaml: valid, 1 API source(s): okta-audit-logs" in said
        assert "Nothing was shipped" in said
        [row] = world.compare()
        assert (row.emitted, row.missing, row.twice) == (30, 0, 0)


def test_its_simulator_prints_what_then_works(checkout: Path) -> None:
    said = typed("source .venv/bin/activate\n" + SIMULATED, checkout)  # the same shell as before
    [row] = [line for line in said.splitlines() if "okta-simulated" in line]
    # The history's 180-odd, and what happened since the simulator began: on a busy machine that is a while.
    assert re.search(r"\b(1[89]|2\d)\d\b.*\bok\b", row), said
    assert (checkout / "simulated.yaml").read_text().count("api_sources:") == 1


def test_every_file_it_points_at_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_make_target_it_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", README)) | set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))
    assert named
    assert named <= targets
