"""What builds receivers: each once, kept by what shapes it, and left out with a word where it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster_tests.real import builds
from flicker_dagster_tests.real.builds import Build, Unavailable, run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(builds, "HOME", tmp_path)
    return tmp_path


def a_build(command: str, *, version: str = "1", tools: dict[str, str] | None = None) -> Build:
    return Build("thing", version, tools or {}, lambda folder, log: run(log, "sh", "-c", command, cwd=folder))


def test_a_build_is_made_once(home: Path) -> None:
    build = a_build(f"echo x >> {home}/made; touch it")
    with pytest.raises(Unavailable, match="make test-real"):
        build.ready()
    assert build.prepare() == build.prepare() == build.ready()
    assert (build.ready() / "it").exists()
    assert (home / "made").read_text() == "x\n"


def test_another_version_replaces_it() -> None:
    old, new = a_build("touch it"), a_build("touch it", version="2")
    old.prepare()
    new.prepare()
    assert new.folder.is_dir()
    assert not old.folder.exists()


def test_a_build_that_fails_leaves_nothing_and_says_why(home: Path) -> None:
    build = a_build("touch it; echo no route to the registry; exit 3")
    with pytest.raises(Unavailable, match=r"thing: .*status 3.*no route to the registry .*thing\.log"):
        build.prepare()
    assert not build.folder.exists()


def test_a_tool_that_is_missing_is_named() -> None:
    build = a_build("true", tools={"sh": "a shell", "no-such-tool": "Debian: no-such-package"})
    for asked in (build.prepare, build.ready):
        with pytest.raises(Unavailable, match=r"thing: no-such-tool is missing \(Debian: no-such-package\)"):
            asked()
