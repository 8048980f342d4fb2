"""The container image: good manners, no privileges, and both documented ways to name the command."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from flicker_dagster_tests.deploy.builders import DEPLOY, DOCUMENTED_ARGUMENTS, ROOT, run, tool

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_linter_has_nothing_to_say() -> None:
    linted = run(tool("hadolint"), "--no-color", "Dockerfile")
    assert linted.returncode == 0, linted.stdout


def test_it_runs_without_privileges_under_a_numeric_user() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.M)
    assert users == ["10001:10001"]


def test_it_asks_for_no_volume_because_the_work_directory_may_be_lost() -> None:
    assert not re.search(r"^VOLUME", DOCKERFILE, re.M)


def test_every_file_it_copies_exists_and_is_let_into_the_build() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [source for line in re.findall(r"^COPY (?!--from)(.+)", DOCKERFILE, re.M) for source in line.split()[:-1]]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source in let_in, source


@pytest.mark.parametrize(
    ("given", "run_as"),
    [
        (["flicker", *DOCUMENTED_ARGUMENTS], ["flicker", *DOCUMENTED_ARGUMENTS]),
        (DOCUMENTED_ARGUMENTS, ["flicker", *DOCUMENTED_ARGUMENTS]),
        (["health"], ["flicker", "health"]),
        ([], ["flicker"]),
        (["-c", "a file.yaml"], ["flicker", "-c", "a file.yaml"]),
        (["echo", "-n", "x"], ["echo", "-n", "x"]),
    ],
    ids=["compose", "kubernetes", "subcommand", "nothing", "space", "another-program"],
)
def test_the_entry_point_runs(given: list[str], run_as: list[str], tmp_path: Path) -> None:
    for program in ("flicker", "echo"):
        script = tmp_path / program
        script.write_text('#!/bin/sh\nprintf "%s\\n" "${0##*/}" "$@"\n')
        script.chmod(0o755)
    ran = run(str(DEPLOY / "entrypoint.sh"), *given, env=os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == run_as
