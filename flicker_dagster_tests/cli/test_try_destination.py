"""`flicker test-destination` says what is so: for every type, by its simulated receiver."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.simulator.siems import SIEMS
from flicker_dagster_tests.cli.siem_scene import SECRET, VARIABLE, SiemScene
from flicker_dagster_tests.tls import Authority

WITH_CREDENTIALS = sorted(kind for kind in SIEMS if kind != "syslog")
WRONG = "another-secret-that-nobody-knows"


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SiemScene]:
    scene = SiemScene(request.param, tmp_path)
    yield scene
    scene.close()


def every(kinds: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scene", kinds, indirect=True)


@every(sorted(SIEMS))
def test_it_is_taken_and_where_to_find_it_is_said(scene: SiemScene) -> None:
    done = scene.test()
    assert done.exit_code == 0, done.output
    counts = scene.siem.counts()
    assert sum(counts.values()) == 1
    assert done.stdout.startswith("taken\n")
    assert "find it" in done.stdout
    if scene.kind not in ("http", "security_lake"):  # the one counts by the event's own id, the other by objects
        [uid] = counts
        assert uid in done.stdout
    assert SECRET not in done.output


@every(WITH_CREDENTIALS)
def test_wrong_credentials_are_told_with_their_place_and_what_to_do(scene: SiemScene) -> None:
    scene.env[VARIABLE] = WRONG
    code, said = scene.asked()
    assert (code, said["taken"]) == (1, False), said
    assert said["outcome"] == "blocked"
    assert said["fix"]
    assert not scene.siem.counts()
    if scene.kind != "sumo_logic":  # its address is the credential
        assert VARIABLE in said["answered"]
        assert "config.yaml:" in said["answered"]
    assert WRONG not in json.dumps(said)


@every(WITH_CREDENTIALS)
def test_a_variable_that_is_not_set_is_named_with_its_line(scene: SiemScene) -> None:
    scene.env[VARIABLE] = None
    code, said = scene.asked()
    line = next(
        number
        for number, text in enumerate((scene.home / "config.yaml").read_text().splitlines(), 1)
        if f"${{{VARIABLE}}}" in text
    )
    assert (code, said["outcome"]) == (1, "unset")
    assert f"config.yaml:{line}: " in said["answered"]
    assert f"${{{VARIABLE}}} is not set" in said["answered"]
    assert "environment" in said["fix"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def elsewhere(scene: SiemScene, address: str) -> dict[str, object]:
    """The keys that lead to another server, in whatever scheme."""
    kind = scene.kind
    if kind == "kafka":
        return {"brokers": [address]}
    if kind == "syslog":
        return {"endpoint": f"tcp://{address}"}
    name = "url" if kind in ("splunk_hec", "logscale") else "endpoint"
    before = str(scene.keys[name])
    return {name: before.replace(before.split("/")[2], address)}


@every(sorted(SIEMS))
def test_an_address_at_which_nobody_listens(scene: SiemScene) -> None:
    code, said = scene.asked(**elsewhere(scene, f"127.0.0.1:{free_port()}"), **quick(scene))
    assert (code, said["outcome"]) == (1, "retry"), said
    assert said["fix"]


def quick(scene: SiemScene) -> dict[str, object]:
    """Kafka looks for a broker until its time is over."""
    return {"timeout_ms": 1_500} if scene.kind == "kafka" else {}


@every(sorted(kind for kind in SIEMS if kind not in ("kafka", "syslog")))
def test_tls_towards_a_port_without_it(scene: SiemScene) -> None:
    name = "url" if scene.kind in ("splunk_hec", "logscale") else "endpoint"
    code, said = scene.asked(**{name: str(scene.keys[name]).replace("http:", "https:")})
    assert (code, said["outcome"]) == (1, "blocked"), said
    assert "TLS" in said["answered"]
    assert "TLS" in said["fix"] or "tls" in said["fix"]


@every(sorted(kind for kind in SIEMS if kind not in ("kafka", "syslog")))
def test_a_certificate_of_an_unknown_authority(scene: SiemScene, tmp_path: Path) -> None:
    address = Authority.in_directory(tmp_path).protect(scene.siem.receiver.server)
    name = "url" if scene.kind in ("splunk_hec", "logscale") else "endpoint"
    before = str(scene.keys[name])
    code, said = scene.asked(**{name: before.replace("/".join(before.split("/")[:3]), address)})
    assert (code, said["outcome"]) == (1, "blocked"), said
    assert "CERTIFICATE_VERIFY_FAILED" in said["answered"]
    assert "ca_cert_path" in said["fix"]


#: A store has said all with the head of its answer, which comes at once.
@every(sorted(kind for kind in SIEMS if kind not in ("kafka", "syslog", "s3", "security_lake")))
def test_an_answer_that_does_not_come_says_where_to_look_for_the_event(scene: SiemScene) -> None:
    scene.siem.receiver.faults.plan("slow", seconds=2.0)
    done = scene.test(timeout_ms=700)
    assert done.exit_code == 1, done.output
    said = " ".join(done.stdout.split())
    assert "within destination.timeout_ms (0.7 s)" in said
    assert "look there whether it arrived" in said
    assert "look for it" in said


@every(["splunk_hec"])
def test_an_acknowledgement_is_waited_for(scene: SiemScene) -> None:
    scene.siem.receiver.ack_delay_s = 0.3
    code, said = scene.asked(ack_ask_after_ms=200)
    assert (code, said["answered"]) == (0, "HTTP 200 OK, indexed")


@every(["splunk_hec"])
def test_an_acknowledgement_that_does_not_come_is_no_success(scene: SiemScene) -> None:
    scene.siem.receiver.unacknowledged = 1
    done = scene.test("--wait", "1", ack_ask_after_ms=100)
    assert done.exit_code == 1
    assert "not yet acknowledged within 1 s" in done.stdout
    assert "look for it" in done.stdout
    assert "waiting up to 1 s" in done.stderr


@every(["splunk_hec"])
def test_a_wrong_index(scene: SiemScene) -> None:
    code, said = scene.asked(index="elsewhere")
    assert (code, said["outcome"]) == (1, "blocked")
    assert "Select Allowed Indexes" in said["fix"]


@every(["security_lake"])
def test_a_class_without_a_custom_source(scene: SiemScene) -> None:
    code, said = scene.asked(sources={"authentication": {"name": "auth"}})
    assert (code, said["outcome"]) == (1, "blocked")
    assert "api_activity" in said["fix"]


@every(["http"])
@pytest.mark.parametrize(
    ("status", "outcome", "fix"),
    [
        ("403", "blocked", "rights"),
        ("404", "blocked", "address"),
        ("413", "split", "too large"),
        ("429", "retry", "quota"),
        ("400", "rejected", "refuses the event"),
        ("503", "retry", "of its own"),
    ],
)
def test_what_an_answer_means(scene: SiemScene, status: str, outcome: str, fix: str) -> None:
    scene.siem.receiver.faults.plan(status)
    code, said = scene.asked()
    assert (code, said["outcome"]) == (1, outcome)
    assert status in said["answered"]
    assert fix in said["fix"]


@every(["http"])
def test_a_missing_key_of_masks_is_told(scene: SiemScene) -> None:
    scene.env["FLICKER_MASK_KEY"] = None
    code, said = scene.asked(fields={"mask": ["id"]})
    assert (code, said["outcome"]) == (1, "unset")
    assert "FLICKER_MASK_KEY" in said["answered"]
    assert "variable" in said["fix"]


@every(["kafka"])
def test_a_missing_extra_is_told_with_its_installation(scene: SiemScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "confluent_kafka", None)
    code, said = scene.asked()
    assert (code, said["outcome"]) == (1, "unusable")
    assert said["fix"] == "`pip install 'flicker-dagster[kafka]'`"


@every(["http"])
def test_it_is_an_event_that_says_that_it_is_a_test_and_no_state_is_kept(scene: SiemScene) -> None:
    code, said = scene.asked()
    assert code == 0
    assert said["mark"] in scene.siem.counts()
    assert not (scene.home / "work").exists()
    assert {key for key in said if said[key] is None} == {"lane", "fix"}


def test_a_file_gets_the_line(tmp_path: Path) -> None:
    scene = SiemScene("http", tmp_path)
    scene.keys = {"type": "file", "path": str(tmp_path / "{source}.ndjson")}
    code, said = scene.asked()
    assert code == 0
    event = json.loads((tmp_path / "okta.ndjson").read_text())
    assert (event["flicker_test"], event["id"], event["source"]) == (True, said["mark"], "okta")
    assert said["mark"] in said["find"]
    code, said = scene.asked(path=str(tmp_path / "okta.ndjson" / "x.ndjson"))
    assert (code, said["outcome"]) == (1, "blocked")
    assert said["fix"] == "A part of `path` is a file: correct it."
    scene.close()
