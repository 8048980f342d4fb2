"""Parts: the example of docs/parts.md, installed as a package, collects; what fails in one is told without its words."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import flicker_dagster
from flicker_dagster.cli.main import cli
from flicker_dagster.collect.client import VendorClient
from flicker_dagster.collect.walk import walk
from flicker_dagster.config import parts
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import BadAnswer, CollectError, ConfigError, VendorRefused
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.types import WalkState

PAGE = (Path(flicker_dagster.__file__).parent.parent / "docs" / "parts.md").read_text()
ENV = {"ACME_KEY_ID": "acme-key-1", "ACME_SECRET": "acme-very-secret"}
LINES = [f"id={number}|time=2026-05-02T09:14:0{number}Z|what=login" for number in range(7)]


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example's package, as an installer leaves it behind."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "acme_flicker.py").write_text(block("python"))
    entries = block("toml").split('[project.entry-points."flicker.parts"]\n')[1].replace('"', "")
    info = tmp_path / "acme_flicker-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-flicker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[flicker.parts]\n{entries}broken = acme_flicker:Nothing\nnumber = sys:maxsize\n"
    )
    parts.registered.cache_clear()
    yield tmp_path
    parts.registered.cache_clear()
    sys.modules.pop("acme_flicker", None)


class Acme:
    """Checks the signature, and answers in its own lines."""

    def __init__(self) -> None:
        self.secret = ENV["ACME_SECRET"]
        self.lines = LINES
        self.server = Server(self.handle)

    def handle(self, request: Request) -> Response:
        query = f"?{request.target.partition('?')[2]}" if "?" in request.target else ""
        signed = f"GET {self.server.url}{request.path}{query}"
        made = hmac.new(self.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if request.headers.get("authorization") != f"Acme acme-key-1:{made}":
            return Response.json({"error": "bad signature"}, 401)
        return Response(200, "\n".join(self.lines).encode(), [("Content-Type", "text/plain")])


@pytest.fixture
def acme() -> Iterator[Acme]:
    acme = Acme()
    yield acme
    acme.server.close()


def source_of(url: str, **changes: Any) -> SourceConfig:
    raw = yaml.safe_load(block("yaml"))
    raw["api_sources"][0] |= {"endpoint": f"{url}/audit", **changes}
    return parse_config(json.dumps(raw), path="config.yaml", env=ENV).sources[0]


def collected(source: SourceConfig, env: dict[str, str]) -> list[dict[str, Any]]:
    client = VendorClient(source, env=env)
    try:
        pages = list(walk(source.listing, client, WalkState(start_ms=1_777_000_000_000, end_ms=1_778_000_000_000)))
    finally:
        client.close()
    return [json.loads(bytes(event)) for page in pages for event in page.decoded.events]


@pytest.mark.usefixtures("installed")
def test_the_documented_example_collects(acme: Acme) -> None:
    events = collected(source_of(acme.server.url), ENV)
    assert [event["id"] for event in events] == [str(number) for number in range(7)]
    assert events[0] == {"id": "0", "time": "2026-05-02T09:14:00Z", "what": "login"}


@pytest.mark.usefixtures("installed")
def test_a_secret_that_was_rotated_is_read_again(acme: Acme) -> None:
    env = dict(ENV)
    source = source_of(acme.server.url)
    client = VendorClient(source, env=env)
    state = WalkState(start_ms=1_777_000_000_000, end_ms=1_778_000_000_000)
    assert next(iter(walk(source.listing, client, state))).decoded.digests
    acme.secret = env["ACME_SECRET"] = "another-secret-now"
    assert next(iter(walk(source.listing, client, state))).decoded.digests
    client.close()


@pytest.mark.usefixtures("installed")
def test_a_wrong_secret_is_a_refusal_that_shows_none(acme: Acme) -> None:
    with pytest.raises(VendorRefused, match="HTTP 401") as caught:
        collected(source_of(acme.server.url), {**ENV, "ACME_SECRET": "wrong-and-secret"})
    assert "wrong-and-secret" not in str(caught.value)


@pytest.mark.usefixtures("installed")
def test_what_a_part_cannot_read_is_a_bad_answer_told_without_its_words(acme: Acme) -> None:
    acme.lines = [*LINES, "no pairs here: s3cr3t"]
    with pytest.raises(
        BadAnswer, match=r"the part acme_lines could not read it: ValueError in acme_flicker\.py, line"
    ) as caught:
        collected(source_of(acme.server.url), ENV)
    assert "s3cr3t" not in str(caught.value)


BAD_SIGNERS = {
    "raises": "raise RuntimeError('s3cr3t')",
    "gives another thing": "return None",
    "sends it elsewhere": "return type(request)('GET', 'http://evil.invalid/', {})",
}


@pytest.mark.parametrize("body", BAD_SIGNERS.values(), ids=BAD_SIGNERS)
def test_a_signer_that_misbehaves_costs_the_request_only(installed: Path, acme: Acme, body: str) -> None:
    (installed / "acme_flicker.py").write_text(
        f"class AcmeSignature:\n    def __init__(self, keys): pass\n    def sign(self, request):\n        {body}\n"
    )
    with pytest.raises(CollectError, match="the part acme_signature") as caught:
        collected(source_of(acme.server.url), ENV)
    assert "s3cr3t" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "said"), [("broken", "cannot be imported: AttributeError"), ("number", "can be called")]
)
def test_a_part_that_cannot_be_had_is_told(acme: Acme, name: str, said: str) -> None:
    source = source_of(acme.server.url, auth={"type": "part", "name": name})
    with pytest.raises(VendorRefused, match=said):
        collected(source, ENV)


def test_a_part_that_is_not_installed_is_a_fault_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(block("yaml"))
    done = CliRunner().invoke(cli, ["-c", str(path), "--validate"], env=ENV)
    assert done.exit_code == 2
    first, second, _ = done.stderr.splitlines()
    assert first.startswith(
        f"{path}:7: api_sources[0].auth.name: found 'acme_signature', expected one of an installed package"
    )
    assert second.startswith(f"{path}:9: api_sources[0].rows.part: found 'acme_lines'")


@pytest.mark.usefixtures("installed")
def test_a_slip_of_the_pen_and_two_readers_are_faults() -> None:
    with pytest.raises(ConfigError, match=r"did you mean acme_signature\?"):
        source_of("https://a.invalid", auth={"type": "part", "name": "acme_signatur"})
    with pytest.raises(ConfigError, match=r"rows\.shape: stands beside rows\.part"):
        source_of("https://a.invalid", rows={"part": "acme_lines", "shape": "csv"})
