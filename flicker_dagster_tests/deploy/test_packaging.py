"""What a wheel carries, what lies at the root beside it, and what the constraints allow."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from flicker_dagster_tests.deploy.builders import ROOT, run

if sys.version_info >= (3, 11):
    import tomllib
else:  # the developers' tools bring it
    import tomli as tomllib

PYTHONS = ("3.10", "3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    target = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target))
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(next(target.glob("*.whl"))).namelist()


def test_every_data_file_of_the_package_is_in_the_wheel(wheel_names: list[str]) -> None:
    package = ROOT / "flicker_dagster"
    data = [path for path in package.rglob("*") if path.suffix in {".yaml", ".html", ".json", ".css", ".js"}]
    expected = {path.relative_to(ROOT).as_posix() for path in data}
    assert {"flicker_dagster/cli/example.yaml", "flicker_dagster/orchestration/dagster.yaml"} <= expected
    assert {f"flicker_dagster/config/presets/{vendor}.yaml" for vendor in ("okta", "github", "salesforce")} <= expected
    assert expected <= set(wheel_names)


def test_the_wheel_holds_nothing_but_the_package(wheel_names: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"flicker_dagster"}


@pytest.mark.parametrize("name", ["config.yaml", "dagster.yaml", "workspace.yaml"])
def test_a_file_at_the_root_may_be_edited_without_changing_the_package(name: str) -> None:
    assert (ROOT / name).is_file()
    assert not (ROOT / name).is_symlink()


def test_the_instance_settings_at_the_root_are_the_packaged_ones() -> None:
    packaged = ROOT / "flicker_dagster" / "orchestration" / "dagster.yaml"
    assert (ROOT / "dagster.yaml").read_bytes() == packaged.read_bytes()


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_pin_every_requirement_once_on(python: str) -> None:
    pins = _pins(ROOT / "constraints.txt", python)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["postgres"],
        *(each for each in project["dependency-groups"]["dev"] if isinstance(each, str)),
        *project["dependency-groups"]["build"],
    ]
    for requirement in map(Requirement, named):
        versions = pins.get(canonicalize_name(requirement.name), [])
        assert len(versions) == 1, f"{requirement.name} on Python {python}: pinned to {versions}"
        assert SpecifierSet(str(requirement.specifier)).contains(versions[0]), f"{requirement} but {versions[0]}"


def test_every_pin_has_the_hashes_of_its_files() -> None:
    for path in (ROOT / "constraints.txt", ROOT / "requirements.txt"):
        for pin in _requirements(path):
            assert re.search(r"( --hash=sha256:[0-9a-f]{64})+$", pin), pin


def test_what_runs_is_pinned_as_it_was_tested() -> None:
    tested, needed = (
        {line.split()[0] for line in _requirements(ROOT / name)} for name in ("constraints.txt", "requirements.txt")
    )
    assert needed < tested


@pytest.mark.parametrize("python", PYTHONS)
def test_what_runs_has_all_that_the_package_names(python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    names = {canonicalize_name(Requirement(each).name) for each in named}
    assert names <= _pins(ROOT / "requirements.txt", python).keys()


def test_the_image_and_the_set_up_install_nothing_else() -> None:
    for name in ("Dockerfile", "Makefile"):
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        installs = [line for line in re.split(r"\n|&&", text) if " install " in line and "bench" not in line]
        assert len(installs) == 2, installs
        assert all("--no-deps" in line for line in installs)
        assert [("--require-hashes" in line, "--no-build-isolation" in line) for line in installs] == [
            (True, False),
            (False, True),
        ]


def _requirements(path: Path) -> list[str]:
    """Each requirement with its hashes, in one line."""
    text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def _pins(path: Path, python: str) -> dict[str, list[str]]:
    env = {"python_version": python, "python_full_version": f"{python}.1"}
    pins: dict[str, list[str]] = {}
    for line in _requirements(path):
        pin = Requirement(line.partition(" --hash=")[0])
        assert re.fullmatch(r"==[^*]+", str(pin.specifier)), f"not a pin: {line}"
        if pin.marker is None or pin.marker.evaluate(env):
            pins.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier)[2:])
    return pins
