"""The web UI's options, on a command line and in an environment."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flicker_dagster.cli.main import cli
from flicker_dagster.web.__main__ import main as serve
from flicker_dagster.web.hosts import Authority, parse_allowed
from flicker_dagster.web.options import WebOptions, web_options


@click.command()
@web_options
def show(host: str, port: int, allow_hosts: tuple[Authority, ...], read_only: bool) -> None:
    click.echo(f"{host} {port} {' '.join(map(str, allow_hosts))} {read_only}")


def shown(*arguments: str, **env: str) -> str:
    done = CliRunner().invoke(show, arguments, env=env)
    return done.output.strip()


def test_they_are_read_from_the_command_line_and_from_the_environment() -> None:
    assert shown() == "127.0.0.1 3000  False"
    assert (
        shown("--allow-host", "A.example", "--allow-host", "b:81", "--read-only")
        == "127.0.0.1 3000 a.example b:81 True"
    )
    env = {"FLICKER_ALLOW_HOST": " a.example, [fd00::1]:8443 ,,b ", "FLICKER_READ_ONLY": "1", "FLICKER_PORT": "81"}
    assert shown(**env) == "127.0.0.1 81 a.example [fd00::1]:8443 b True"
    assert shown(FLICKER_ALLOW_HOST="", FLICKER_READ_ONLY="0") == "127.0.0.1 3000  False"
    assert shown("--allow-host", "c", FLICKER_ALLOW_HOST="a,b") == "127.0.0.1 3000 c False"


def test_a_child_reads_the_same_from_its_environment() -> None:
    allowed = (parse_allowed("a.example"), parse_allowed("[fd00::1]:8443"))
    assert shown(**WebOptions("127.0.0.1", 3000, allowed, read_only=True).environment()).endswith(
        "a.example [fd00::1]:8443 True"
    )
    assert shown(**WebOptions("127.0.0.1", 3000).environment()) == "127.0.0.1 3000  False"


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "https://a.example",
        "a.example/flicker",
        "*.example",
        "*",
        "a b",
        "a:0",
        "a:x",
        "bücher.example",
        "[::1",
        "a,b",
    ],
)
def test_what_is_no_host_is_one_line_and_exit_2(name: str) -> None:
    done = CliRunner().invoke(cli, ["--allow-host", name, "--validate"])
    assert done.exit_code == 2
    assert "--allow-host" in done.output
    assert "Traceback" not in done.output


def test_what_the_web_process_needs_is_asked_for_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text("load_from: []\n")
    for arguments, env, words in (
        (["-w", str(tmp_path / "none.yaml")], {"DAGSTER_HOME": str(tmp_path)}, "does not exist"),
        (["-w", str(tmp_path / "workspace.yaml")], {"DAGSTER_HOME": ""}, "DAGSTER_HOME is not set"),
    ):
        done = CliRunner().invoke(serve, arguments, env=env)
        assert done.exit_code == 2
        assert words in done.output
