"""A store in S3 that does not keep conditions is found at the start, and refused in one line that says what is wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.errors import StoreRefused
from flicker_dagster.state import s3
from flicker_dagster.state.conditions import check_conditions
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.s3 import ADVICE
from flicker_dagster_tests.state.object_store import ObjectStore, object_store


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    for name in ("AWS_PROFILE", "AWS_S3_FORCE_PATH_STYLE", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(s3, "MAX_ATTEMPTS", 1)
    s3.shared_client.cache_clear()
    with object_store() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield server
    s3.shared_client.cache_clear()


@pytest.fixture
def layout(tmp_path: Path) -> StateLayout:
    return StateLayout.of("s3://logs/registry.json", "unused", tmp_path)


def refused(layout: StateLayout) -> str:
    with pytest.raises(StoreRefused) as caught:
        check_conditions(layout)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_store_that_keeps_conditions_is_taken_and_left_as_it_was(server: ObjectStore, layout: StateLayout) -> None:
    server.objects["/logs/registry/ledger/x"] = b"kept"
    check_conditions(layout)
    assert server.objects == {"/logs/registry/ledger/x": b"kept"}
    assert len(server.asked) == 7


OVERWRITES = "so sources would overwrite each other's positions and ledgers"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no If-None-Match", f"ignores conditional writes: it made one object twice with If-None-Match: *, {OVERWRITES}"),
        ("no If-Match", f"ignores conditional writes: it replaced an object that If-Match no longer matched, {OVERWRITES}"),
        ("weak", "gives weak ETags (W/"),
        ("no ETag", "answered without an ETag, which conditional writes compare"),
        ("other ETag", "gives another ETag when an object is read than when it is written"),
        ("501", "NotImplemented (HTTP 501); this S3 service has no conditional writes"),
        ("400", "InvalidArgument (HTTP 400)"),
        ("If-Match refused", "refuses If-Match with the ETag that it gave itself"),
        ("stale", "does not give back what was written last"),
        ("403 PUT", "AccessDenied (HTTP 403); access denied; allow s3:PutObject"),
        ("403 GET", "AccessDenied (HTTP 403); access denied; allow s3:GetObject"),
        ("403 LIST", "AccessDenied (HTTP 403); access denied; allow s3:ListBucket"),
    ],
)  # fmt: skip
def test_what_a_store_gets_wrong_is_named(server: ObjectStore, layout: StateLayout, fault: str, words: str) -> None:
    server.faults = {fault}
    said = refused(layout)
    assert words in said
    assert "s3://logs/registry" in said
    if "403" not in fault and fault != "400":
        assert ADVICE in said
    assert not server.objects


def test_the_service_is_named_without_what_stands_in_its_address(
    server: ObjectStore, layout: StateLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = {"no If-Match"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url.replace("//", "//me:hunter2@"))
    said = refused(layout)
    assert f"s3://logs/registry at {server.url} " in said
    assert "hunter2" not in said


def test_what_may_not_be_removed_is_told_and_taken(
    server: ObjectStore, layout: StateLayout, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = {"403 DELETE"}
    check_conditions(layout)
    assert "allow s3:DeleteObject" in caplog.text


@pytest.mark.parametrize("away", ["503", "closed"])
def test_a_store_that_is_away_is_no_bad_store(
    server: ObjectStore,
    layout: StateLayout,
    away: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if away == "closed":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    server.faults = {"503"}
    check_conditions(layout)
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "asked at the next start" in record.getMessage()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AWS_ENDPOINT_URL", "http://[::1", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL", "no address", "AWS_ENDPOINT_URL"),
        ("AWS_PROFILE", "no-such-profile", "ProfileNotFound"),
        ("AWS_S3_FORCE_PATH_STYLE", "perhaps", "expected true or false"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(
    server: ObjectStore, layout: StateLayout, variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert words in refused(layout)


def test_without_credentials_one_line_says_which_to_set(
    server: ObjectStore, layout: StateLayout, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "no AWS credentials are found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in refused(layout)
    assert caplog.records == []


def test_several_that_start_at_once_do_not_disturb_each_other(server: ObjectStore, layout: StateLayout) -> None:
    said: list[str] = []

    def check() -> None:
        try:
            check_conditions(layout)
        except StoreRefused as error:
            said.append(str(error))

    threads = [threading.Thread(target=check) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == []
    assert server.objects == {}


def test_what_a_killed_probe_left_is_removed_once_it_is_old(server: ObjectStore, layout: StateLayout) -> None:
    new, old = "/logs/registry/probe/29990101T000000Z-a", "/logs/registry/probe/20260101T000000Z-b"
    server.objects |= {new: b"", old: b"", "/logs/registry/probe/somebody-else's": b""}
    check_conditions(layout)
    assert set(server.objects) == {new, "/logs/registry/probe/somebody-else's"}


def test_a_local_state_asks_nothing(server: ObjectStore, tmp_path: Path) -> None:
    check_conditions(StateLayout.of(None, tmp_path / "state", tmp_path))
    assert server.asked == []
    assert not (tmp_path / "state").exists()
