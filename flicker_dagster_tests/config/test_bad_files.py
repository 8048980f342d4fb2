"""Whatever stands behind `-c`, loading it ends soon: with a configuration, or with one line per fault."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flicker_dagster.config import yaml_nodes
from flicker_dagster.config.load import load_config
from flicker_dagster.config.yaml_lines import MAX_PATH_CHARS
from flicker_dagster.config.yaml_nodes import MAX_DEPTH
from flicker_dagster.errors import ConfigError
from flicker_dagster_tests.config.builders import SOURCE, entry, faults, load

#: The bounds hold at about 0.3 GB; without them the inputs below need many, or never end.
MEMORY_BYTES = 1_500 * 1024**2
ENOUGH_S = 60

BUFFER = f"{SOURCE}    buffer_size: "
BUFFERS = "config.yaml:9: api_sources[0].buffer_size: found"
NOT_YAML = "not valid YAML:"
NO_TABS = "indent with spaces, YAML takes no tabs"

LOAD = """
import sys
from flicker_dagster.config.load import load_config
from flicker_dagster.errors import ConfigError
try:
    load_config(sys.argv[1], env={})
except ConfigError as error:
    print(*error.problems, sep="\\n")
"""


def _bounded(folder: Path, text: str) -> list[str]:
    """What loading says, in a process of its own that may use so much memory and time."""
    path = folder / "config.yaml"
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, timeout=ENOUGH_S, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [line.removeprefix(f"{folder}/") for line in done.stdout.splitlines()]


def _laughs() -> str:
    lines = ["x-a: &a [l,l,l,l,l,l,l,l,l]"]
    for before, name in zip("abcdefghi", "bcdefghij", strict=False):
        lines.append(f"x-{name}: &{name} [{','.join([f'*{before}'] * 9)}]")
    return "\n".join(lines) + "\n" + SOURCE


def _merges() -> str:
    lines = ["x-a: &a {k0: 1, k1: 2}"]
    for before, name in zip("abcdefghijklmnopqrs", "bcdefghijklmnopqrst", strict=False):
        lines.append(f"x-{name}: &{name} {{<<: [*{before}, *{before}, *{before}], q: *{before}}}")
    return "\n".join(lines) + "\n" + SOURCE


def _cycles() -> str:
    """Each list holds an alias of every list around it: looked at from outside, as many orders as there are."""
    aliases = ",".join(f"*a{depth}" for depth in range(30))
    return "x-a: " + "".join(f"&a{depth} [" for depth in range(30)) + aliases + "]" * 30 + f"\nx-b: [{aliases}]\n"


def _chain() -> str:
    """No list is nested in the text, and the last one is a thousand deep."""
    lists = [f"x-{number}: &a{number} [{'*a' + str(number - 1) if number else 1}]" for number in range(1000)]
    return "\n".join(lists) + "\n" + SOURCE


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (_laughs, "config.yaml:6: not valid YAML: with aliases expanded more than 250,000 values, expected less"),
        (_merges, "config.yaml:9: not valid YAML: with aliases expanded more than 250,000 values, expected less"),
        (_cycles, "config.yaml:1: not valid YAML: found an alias of itself, expected an alias of something else"),
        (_chain, "config.yaml:64: not valid YAML: with aliases followed nested deeper than 64 levels, expected less"),
        (
            lambda: "x-a: " + "[" * 5000 + "]" * 5000,
            "config.yaml:1: not valid YAML: nested deeper than 64 levels, expected less",
        ),
        (
            lambda: "\n".join(f"{' ' * depth}a:" for depth in range(1500)),
            "config.yaml:64: not valid YAML: nested deeper than 64 levels, expected less",
        ),
        (
            lambda: "\n".join("- " * (1 + depth) + "a" for depth in range(400)),
            "config.yaml:64: not valid YAML: nested deeper than 64 levels, expected less",
        ),
        (
            lambda: f"x-a: &a {'k' * 1_000_000}\nx-b: [{'*a,' * 30_000}]",
            "config.yaml:2: not valid YAML: with aliases expanded more than 16,777,216 characters, expected less",
        ),
        (lambda: "a" * 5_000_000, "config.yaml: is larger than 4 MiB, expected a configuration of 4 MiB at most"),
        (lambda: f"x-a: *{'a' * 1_000_000}", f"config.yaml:1: not valid YAML: found undefined alias '{'a' * 127}…"),
        (lambda: BUFFER + "9" * 1_000_000, f"{BUFFERS} '{'9' * 37}…', expected a whole number"),
        (lambda: BUFFER + "0x" + "f" * 1_000_000, f"{BUFFERS} '0x{'f' * 35}…', expected a whole number"),
        (lambda: BUFFER + ":".join(["59"] * 300_000), f"{BUFFERS} '{'59:' * 12}5…', expected a whole number"),
    ],
    ids=[
        "aliases of aliases", "merge keys of merge keys", "lists inside each other", "a chain of aliases",
        "nested lists", "nested mappings", "lists of lists", "a long text repeated", "a large file",
        "a long alias", "a long number", "a long hexadecimal number", "a long number in sixties",
    ],
)  # fmt: skip
def test_a_text_that_would_never_end_is_one_line(tmp_path: Path, text: Callable[[], str], line: str) -> None:
    assert _bounded(tmp_path, text()) == [line]


def test_a_long_list_ends_where_the_bound_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "MAX_VALUES", 1_000)
    assert faults(tmp_path, "x-a: [" + "l," * 1_500_000 + "]") == [
        "config.yaml:1: not valid YAML: more than 1,000 values, expected less"
    ]


def test_a_long_key_over_a_long_list_stays_small(tmp_path: Path) -> None:
    key = "k" * 190
    text = "x-a:" + "".join(f"\n{' ' * depth} {key}:" for depth in range(50)) + f" [{'l,' * 40_000}]\n" + SOURCE
    assert _bounded(tmp_path, text) == []


def test_faults_without_number_are_counted(tmp_path: Path) -> None:
    told = faults(tmp_path, SOURCE + "".join(f"    k{number}: 1\n" for number in range(300)))
    assert len(told) == 101
    assert told[-1] == "config.yaml:308: and 200 more, down to this line"


def test_aliases_merge_keys_and_lines_go_on_working(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "x-limits: &limits {run_seconds: 60}\nx-all: &all\n  headers: {A: b}\n  limits: *limits\n"
        + SOURCE.replace("  - name", "  - <<: *all\n    name")
        + "    limits: {<<: *limits, run_pages: 5}\n"
        + entry("two").replace("  - name", "  - <<: [*all]\n    name"),
    )
    one, two = config.sources
    assert (one.limits.run_seconds, one.limits.run_pages, one.headers) == (60, 5, {"A": "b"})
    assert (two.limits.run_seconds, two.headers) == (60, {"A": "b"})
    assert config.line_of("api_sources[0].limits.run_pages") == 14
    assert config.line_of("api_sources[0].headers.A") == 3
    assert config.line_of("api_sources[1].limits.run_seconds") == 1


def test_a_sign_of_equality_is_text(tmp_path: Path) -> None:
    assert load(tmp_path, SOURCE + "    query_params: {op: =, more: <<}\n").sources[0].query_params == {
        "op": "=", "more": "<<",
    }  # fmt: skip


def test_a_thousand_sources_are_read_soon(tmp_path: Path) -> None:
    text = SOURCE + "".join(entry(f"s{number}") for number in range(999))
    assert len(load(tmp_path, text).sources) == 1000
    assert len(f"api_sources[999].{'k' * 200}") < MAX_PATH_CHARS
    assert MAX_DEPTH > 20


# -- files


def _said(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(str(path), env={})
    [line] = caught.value.problems
    return line.removeprefix(f"{path}")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", ":1: is empty, expected a mapping with the key api_sources"),
        (b"\n# nothing\n", ":1: is empty, expected a mapping with the key api_sources"),
        (b"---\n...\n", ":2: is empty, expected a mapping with the key api_sources"),
        ("api_sources: []".encode("utf-16"), ":1: is UTF-16 text, expected UTF-8; save it as UTF-8"),
        ("api_sources: []".encode("utf-32"), ":1: is UTF-32 text, expected UTF-8; save it as UTF-8"),
        ("api_sources: []".encode("utf-16-be"), ":1: not valid YAML: the character #x0000 is not allowed"),
        (b"\x1f\x8b\x08\x00", ":1: is compressed (gzip), expected YAML"),
        (b"PK\x03\x04", ":1: is a ZIP archive, expected YAML"),
        (b"a: b\nc: \xff\n", ":2: the byte #xff is not UTF-8, expected UTF-8 text"),
        (b"a: b\nc: caf\xe9\n", ":2: the byte #xe9 is not UTF-8, expected UTF-8 text"),
        (b"\n <!DOCTYPE html>", ":1: begins with '<' as XML or HTML does, expected YAML"),
        (b"api_sources: []\n---\n", ":2: not valid YAML: expected a single document in the stream, but found another document"),
        (b"%YAML 99.1\n---\na: b", f":1: {NOT_YAML} found incompatible YAML document (version 1.* is required)"),
        (b"%YAML " + b"9" * 5000 + b".1\n---\na: b", ":1: not valid YAML: found a number out of range, expected less"),
        (b"true", ":1: found true or false at the top, expected a mapping with the key api_sources"),
        (b'{\n\t"api_sources": []\n}', f":2: {NOT_YAML} found character '\\t' that cannot start any token; {NO_TABS}"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_one_line(tmp_path: Path, data: bytes, line: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(data)
    assert _said(path) == line


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SOURCE.encode())
    assert load_config(str(path), env={}).sources[0].name == "one"


def test_what_is_no_file_is_said_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        assert _said(tmp_path / "socket") == ": cannot be read: No such device or address"
    assert _said(tmp_path) == ": is a directory, expected a YAML file"
    assert _said(tmp_path / "pipe") == ": is a pipe, expected a YAML file"
    assert _said(Path("/dev/zero")) == ": is a device, expected a YAML file"
    assert _said(tmp_path / "link") == ": is a link to a file that does not exist"
    assert _said(tmp_path / "loop") == ": cannot be read: Too many levels of symbolic links"
    assert _said(tmp_path / ("n" * 300)) == ": cannot be read: File name too long"
    assert _said(tmp_path / "none") == ": no such file; name the configuration with -c"
    with pytest.raises(ConfigError, match=r"^'a\\x00b': is no path, expected the name of a file$"):
        load_config("a\0b", env={})


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal is played."""
    path = tmp_path / "config.yaml"
    path.write_text(SOURCE)

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("flicker_dagster.config.file_text.os.open", refuse)
    assert _said(path) == ": cannot be read: Permission denied"


def test_a_slip_of_a_key_that_is_known_elsewhere_is_told_as_a_slip(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, SOURCE + "    rate_limit: {request: 5, per_ms: 1000}\n")
    assert (
        "api_sources[0].rate_limit.request: unknown key, expected a key of rate_limit (did you mean requests?)" in found
    )


@pytest.mark.parametrize(("key", "meant"), [("param", "params"), ("stream", "streams")])
def test_a_slip_of_params_or_streams_is_told(tmp_path: Path, key: str, meant: str) -> None:
    (found,) = faults(tmp_path, SOURCE + f"    {key}: {{a: b}}\n")
    assert f"api_sources[0].{key}: unknown key, expected a key of a source (did you mean {meant}?)" in found


@pytest.mark.parametrize("streams", ["[one, two]", "{one: {}, two: , three: {endpoint: https://x.example.com}}"])
def test_streams_that_nothing_tells_apart_are_refused(tmp_path: Path, streams: str) -> None:
    (found,) = faults(tmp_path, SOURCE + f"    streams: {streams}\n")
    assert "api_sources[0].streams: 'one' and 'two' would ask for the same, expected a mapping of names to" in found


def test_a_fault_in_a_streams_own_keys_is_told_on_their_line(tmp_path: Path) -> None:
    streams = "    streams:\n      one: {}\n      two:\n        endpoint: https://x.example.com\n        poling: 1\n"
    (found,) = faults(tmp_path, SOURCE + streams)
    line = (SOURCE + streams).splitlines().index("        poling: 1") + 1
    assert f"config.yaml:{line}: api_sources[0].poling: unknown key" in found


def test_a_streams_own_key_is_on_its_own_line_and_its_siblings_on_theirs(tmp_path: Path) -> None:
    streams = "    headers: {A: '1'}\n    streams:\n      one: {}\n      two:\n        headers: {A: '2'}\n"
    one, two = load(tmp_path, SOURCE + streams).sources
    last = len((SOURCE + streams).splitlines())
    assert one.line_of("headers.A").endswith(f":{last - 4}")
    assert two.line_of("headers.A").endswith(f":{last}")


def test_streams_by_hand_stand_over_a_preset_that_has_none(tmp_path: Path) -> None:
    slack = (
        "api_sources:\n  - name: slack\n    vendor: slack\n    params: {token: '${T}'}\n    destination: {type: stdout}\n"
        "    streams: {all: {}, logins: {query_params: {action: user_login}}}\n"
    )
    everything, logins = load(tmp_path, slack).sources
    assert (everything.name, logins.name) == ("slack/all", "slack/logins")
    assert everything.endpoint == logins.endpoint == "https://api.slack.com/audit/v1/logs"
    assert logins.query_params["action"] == "user_login"
    assert "action" not in everything.query_params
