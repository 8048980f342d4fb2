"""`flicker add VENDOR`: what is asked, what is refused, and what is written."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml
from click.testing import CliRunner, Result

from flicker_dagster.cli import add as adding
from flicker_dagster.cli.main import cli
from flicker_dagster.config.vendors import Param, Preset, PresetStream, presets
from flicker_dagster_tests.builders import know
from flicker_dagster_tests.cli.scene import PROGRAM

MADE_UP = Preset(
    vendor="made_up",
    title="Made-up audit log",
    docs="https://docs.example.com",
    source={
        "endpoint": "https://${param:host}/log",
        "auth": {"type": "bearer", "token": "${param:token}"},
        "polling_frequency_ms": 60_000,
        "timestamp_field": "time",
    },
    params={
        "host": Param("the host of the account", example="acme.example.com", pattern=r"[a-z.]+"),
        "token": Param("a token that may read the log", secret=True),
        "region": Param("where it is", default="eu"),
        "project": Param("a project's id", example="p-1"),
    },
    streams={
        "audit": PresetStream("What people did"),
        "logins": PresetStream("Who came"),
        "project": PresetStream(
            "One project", source={"endpoint": "https://x.example.com/${param:project}"}, usual=False
        ),
    },
)
OLD = (
    "# ours\ndestinations:\n  siem: {type: http, endpoint: 'https://siem.example.com'}   # the one\n\n"
    "api_sources:\n  - name: made-up\n    endpoint: https://api.example.com/\n    polling_frequency_ms: 60000\n"
    "    timestamp_field: time\n    destination: siem\n"
)


class Scene:
    def __init__(self, home: Path) -> None:
        self.path = home / "config.yaml"
        self.work = home / "work"

    def run(self, *options: str, answers: list[str] | None = None, env: dict[str, str] | None = None) -> Result:
        command = ["-c", str(self.path), "--work-dir", str(self.work), "add", "made_up", *options]
        return CliRunner().invoke(cli, command, input=None if answers is None else "\n".join(answers) + "\n", env=env)

    def added(self) -> dict[str, object]:
        return yaml.safe_load(self.path.read_text())["api_sources"][-1]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    know(monkeypatch, MADE_UP)
    monkeypatch.setenv("COLUMNS", "100")
    return Scene(tmp_path)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "can_ask", lambda: True)


GIVEN = ("--param", "host=acme.example.com", "--param", "token=MADE_UP_TOKEN", "--destination", "siem")


def test_options_are_enough_and_the_rest_of_the_file_stays(scene: Scene) -> None:
    scene.path.write_text(OLD)
    scene.path.chmod(0o640)
    done = scene.run(*GIVEN)
    assert done.exit_code == 0, done.output
    assert scene.path.read_text().startswith(OLD)
    assert stat.S_IMODE(scene.path.stat().st_mode) == 0o640
    assert scene.added() == {
        "name": "made-up-2",
        "vendor": "made_up",
        "params": {"host": "acme.example.com", "token": "${MADE_UP_TOKEN}"},
        "streams": ["audit", "logins"],
        "destination": "siem",
    }
    assert "${MADE_UP_TOKEN} is not set" in done.output
    assert "flicker test made-up-2" in done.output
    assert [each.name for each in scene.path.parent.iterdir() if each.name.startswith(".config")] == []


def test_a_byte_order_mark_and_a_link_stay(scene: Scene) -> None:
    real = scene.path.with_name("real.yaml")
    real.write_bytes(b"\xef\xbb\xbf" + OLD.encode())
    scene.path.symlink_to(real)
    assert scene.run(*GIVEN).exit_code == 0
    assert scene.path.is_symlink()
    assert real.read_bytes().startswith(b"\xef\xbb\xbf" + OLD.encode())


def test_a_folder_that_is_not_there_is_told_before_anything_is_asked(scene: Scene) -> None:
    scene.path = scene.path.parent / "nowhere" / "config.yaml"
    done = scene.run()
    assert done.exit_code == 2
    assert "there is no folder" in done.output


def test_a_file_that_may_not_be_written_is_told_before_anything_is_asked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.path.write_text(OLD)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anything
    done = scene.run()
    assert done.exit_code == 2
    assert "may not be written by this user" in done.output


def test_a_parameter_that_is_given_twice_is_refused(scene: Scene) -> None:
    done = scene.run(*GIVEN, "--param", "host=other.example.com")
    assert done.exit_code == 2
    assert "given twice, as 'acme.example.com' and as 'other.example.com'" in done.output


def test_what_was_written_without_a_question_is_said_to_be_added(scene: Scene) -> None:
    scene.path.write_text(OLD)
    done = scene.run(*GIVEN, "--no-test")
    assert "\nAdded to" in done.output
    assert "To be added" not in done.output


def test_a_new_file_is_made(scene: Scene) -> None:
    done = scene.run(*GIVEN[:4], "--destination", "stdout", "--stream", "logins", "--name", "mine")
    assert done.exit_code == 0, done.output
    assert scene.added()["streams"] == ["logins"]
    assert scene.added()["destination"] == {"type": "stdout"}


def test_without_a_terminal_all_that_is_missing_is_named_at_once(scene: Scene) -> None:
    done = scene.run("--stream", "project")
    assert done.exit_code == 2
    for words in ("no terminal", "--param host=acme.example.com", "--param token=${MADE_UP_TOKEN}", "--param project=p-1",
                  "--destination NAME"):  # fmt: skip
        assert words in done.output
    assert not scene.path.exists()


SECRET = "xoxp-12345-s3cr3t"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--param", f"token={SECRET}"], "is a secret: give the name of the environment variable"),
        (["--param", "token=AKIAIOSFODNN7EXAMPLE"], "is a secret"),
        (["--param", "token=${TOKEN:-s3cr3t}"], "is a secret"),
        (["--param", "host=not a host"], "is of another form"),
        (["--param", "hots=x"], "did you mean host?"),
        (["--param", "host"], "expected NAME=VALUE"),
        (["--stream", "login"], "did you mean logins?"),
        (["--destination", "sime"], "did you mean siem?"),
        (["--name", "made-up"], "there is a source of that name already"),
        (["--name", "a b"], "expected letters"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(scene: Scene, options: list[str], said: str) -> None:
    scene.path.write_text(OLD)
    done = scene.run(*GIVEN, *options)
    assert done.exit_code == 2
    assert said in done.output
    assert "s3cr3t" not in done.output
    assert scene.path.read_text() == OLD


def test_references_of_every_kind_are_taken_for_a_secret(scene: Scene) -> None:
    for reference in ("${file:/run/secrets/token}", "${aws_secret:made/up#token}", "${LOWER_and_upper}"):
        scene.path.write_text(OLD)
        given = ("--param", "host=acme.example.com", "--param", f"token={reference}", "--destination", "siem")
        assert scene.run(*given, "--no-test").exit_code == 0
        assert scene.added()["params"]["token"] == reference  # type: ignore[index]


def test_a_configuration_with_a_fault_is_told_and_left_alone(scene: Scene) -> None:
    broken = OLD.replace("timestamp_field", "timestamp_feld")
    scene.path.write_text(broken)
    done = scene.run(*GIVEN)
    assert done.exit_code == 2
    assert "timestamp_feld" in done.output
    assert scene.path.read_text() == broken


def test_a_file_that_cannot_be_added_to_is_told_with_the_block(scene: Scene) -> None:
    keys = "name: a, endpoint: 'https://a.invalid', polling_frequency_ms: 60000, timestamp_field: t"
    flow = f"{{api_sources: [{{{keys}, destination: {{type: stdout}}}}]}}\n"
    scene.path.write_text(flow)
    done = scene.run(*GIVEN[:4], "--destination", "stdout")
    assert done.exit_code == 1
    assert "paste the block" in done.output
    assert "vendor: made_up" in done.output
    assert scene.path.read_text() == flow


@pytest.mark.usefixtures("person")
def test_a_person_is_asked_for_each_thing_and_again_where_it_does_not_fit(scene: Scene) -> None:
    scene.path.write_text(OLD)
    answers = [
        "audit, loginz",
        "audit, project",
        "",
        "NOT A HOST",
        "acme.example.com",
        SECRET,
        "MY_TOKEN",
        "p-7",
        "",
        "y",
    ]
    done = scene.run(answers=answers)
    assert done.exit_code == 0, done.output
    assert scene.added() == {
        "name": "made-up-2",
        "vendor": "made_up",
        "params": {"host": "acme.example.com", "token": "${MY_TOKEN}", "project": "p-7"},
        "streams": ["audit", "project"],
        "destination": "siem",
    }
    for words in ("What people did", "did you mean logins?", "of another form", "is a secret", "Write it?"):
        assert words in done.output


@pytest.mark.usefixtures("person")
def test_a_person_may_say_no(scene: Scene) -> None:
    scene.path.write_text(OLD)
    done = scene.run(*GIVEN, answers=["", "", "n"])
    assert done.exit_code == 1
    assert scene.path.read_text() == OLD


def test_what_was_added_is_tested_where_it_can_be(scene: Scene) -> None:
    done = scene.run(*GIVEN[:4], "--destination", "stdout", "--stream", "logins", env={"MADE_UP_TOKEN": "abcdefgh",
                     "HTTPS_PROXY": "http://127.0.0.1:9"})  # fmt: skip
    assert done.exit_code == 1
    assert "made-up/logins fails" in done.output
    assert scene.added()["name"] == "made-up"


def test_on_a_real_terminal_it_asks(tmp_path: Path) -> None:
    vendor = next(name for name, preset in sorted(presets().items()) if len(preset.params) == 1 and not preset.streams)
    [(name, param)] = presets()[vendor].params.items()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, "-c", str(tmp_path / "c.yaml"), "add", vendor, "--no-test"]
    env = os.environ | {"FLICKER_WORK_DIR": str(tmp_path / "w"), "TERM": "dumb"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=tmp_path)
    os.close(theirs)
    os.write(ours, b"\n" + (b"MY_OWN_TOKEN\n" if param.secret else b"\n") + b"stdout\ny\n")
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the terminal is gone with the process
            break
        if not part:
            break
        said += part
    assert process.wait(60) == 0, said.decode()
    [source] = yaml.safe_load((tmp_path / "c.yaml").read_text())["api_sources"]
    assert source["params"] == {name: "${MY_OWN_TOKEN}"}


@pytest.mark.usefixtures("person")
def test_of_several_ways_to_sign_a_person_chooses_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"type": "basic", "username": "${param:user}", "password": "${param:word}"}
    params = {
        "host": MADE_UP.params["host"],
        "token": MADE_UP.params["token"],
        "user": Param("the user", example="ana"),
        "word": Param("the user's password", secret=True),
    }
    source = dict(MADE_UP.source)
    know(
        monkeypatch,
        Preset(vendor="made_up", title="M", docs="https://x", source=source, params=params, other_auth=[other]),
    )
    done = scene.run(answers=["", "2", "ana", "acme.example.com", "WORD_VAR", "stdout", "y"])
    assert done.exit_code == 0, done.output
    assert scene.added()["params"] == {"host": "acme.example.com", "user": "ana", "word": "${WORD_VAR}"}


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize(("answer", "written"), [("", {}), ("eu-1", {"region": "eu-1"})])
def test_what_need_not_be_given_is_left_out_by_an_empty_answer(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, answer: str, written: dict[str, str]
) -> None:
    params = {**MADE_UP.params, "region": Param("the region", example="eu-1", pattern="[a-z0-9-]+", optional=True)}
    source = {**MADE_UP.source, "headers": {"X-Region": "${param:region}"}}
    know(monkeypatch, msgspec.structs.replace(MADE_UP, params=params, source=source))
    scene.path.write_text(OLD)
    done = scene.run(*GIVEN, "--stream", "logins", "--no-test", answers=["", "E U", answer, "y"])
    assert done.exit_code == 0, done.output
    assert "region (empty for none):" in done.output
    assert "of another form" in done.output
    assert scene.added()["params"] == {"host": "acme.example.com", "token": "${MADE_UP_TOKEN}", **written}


def test_what_need_not_be_given_is_not_missing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {**MADE_UP.params, "region": Param("the region", optional=True)}
    source = {**MADE_UP.source, "headers": {"X-Region": "${param:region}"}}
    know(monkeypatch, msgspec.structs.replace(MADE_UP, params=params, source=source))
    scene.path.write_text(OLD)
    done = scene.run(*GIVEN, "--stream", "logins", "--no-test")
    assert done.exit_code == 0, done.output
    assert "region" not in scene.added()["params"]
