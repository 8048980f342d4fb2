"""Where state may lie: what is an address of S3, what is a path, and what is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flicker_dagster.errors import LocationError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.state.locations import checked_location, checked_registry
from flicker_dagster.state.stores import LocalStore, open_store


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("", "is empty, expected a path or s3://bucket/key"),
        ("   ", "is empty, expected"),
        ("gs://bucket/key", "found an address with gs://, which is no store of Flicker, expected a path or s3://bucket/key"),
        ("http://minio:9000/bucket", "found an address with http://"),
        ("azure://x", "found an address with azure://"),
        ("c:/state", "found an address with c://"),
        ("arn:aws:s3:::bucket", "found an address with arn:"),
        ("file:///var/state", "(did you mean /var/state?)"),
        ("https://logs.s3.eu-west-1.amazonaws.com/a/b.json", "(did you mean s3://logs/a/b.json?)"),
        ("S3://bucket/key", "(did you mean s3://bucket/key?)"),
        ("s3:/bucket/key", "(did you mean s3://bucket/key?)"),
        ("s3//bucket/key", "(did you mean s3://bucket/key?)"),
        ("s3a://bucket/key", "(did you mean s3://bucket/key?)"),
        ("s3n://bucket/key", "(did you mean s3://bucket/key?)"),
        (" s3://bucket/key", "with a space around it"),
        ("'s3://bucket/key", "(did you mean s3://bucket/key?)"),
        ("s3://", "names no bucket, expected s3://bucket/key"),
        ("s3:///key", "names no bucket"),
        ("s3://buc ket/key", "found the bucket 'buc ket', expected letters"),
        ("s3://a..b/key", "found the bucket 'a..b'"),
        ("s3://bucket:9000/key", "found the bucket 'bucket:9000'"),
        ("s3://bucket/a/../b", "expected a key without the parts . and .."),
        ("s3://bucket/" + "k" * 900, "found a key of more than 800 bytes"),
        ("a\0b", "found 'a\\x00b' with a control character"),
        ("a\x1b[31mb", "with a control character"),
        ("~nosuchuser-here/state", "there is no such user"),
        ("n" * 300, "too long for a path"),
        ("/".join(["n" * 200] * 20), "too long for a path"),
        ("/etc/hostname/state", "/etc/hostname is no directory"),
    ],
)  # fmt: skip
def test_what_is_no_place_for_state_is_told(location: str, words: str) -> None:
    with pytest.raises(LocationError) as caught:
        checked_location(location)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    with pytest.raises(LocationError):
        open_store(location)


def test_a_key_in_the_address_is_not_repeated() -> None:
    with pytest.raises(LocationError) as caught:
        checked_location("s3://AKIA123:hunter2@bucket/key")
    assert "hunter2" not in str(caught.value)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value)


@pytest.mark.parametrize("location", ["/var/state", "state", "./a b", "s3", "s3/state", "a/s3/b", "ä", "s3-state"])
def test_paths_are_paths(location: str) -> None:
    assert checked_location(location) == location
    assert isinstance(open_store(location), LocalStore)


@pytest.mark.parametrize("location", ["s3://b/k", "s3://My.bucket_1/a b/ä.json", "s3://bucket"])
def test_addresses_of_s3_are_taken(location: str) -> None:
    assert checked_location(location) == location


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of")
    assert checked_location("~/state") == "/home/of/state"
    assert Settings.from_env({"FLICKER_WORK_DIR": "~/w"}).state_dir == "/home/of/w"


def test_a_registry_is_a_file(tmp_path: Path) -> None:
    for location in ("s3://bucket", "s3://bucket/", str(tmp_path), "new/"):
        with pytest.raises(LocationError, match="expected"):
            checked_registry(location)
    assert checked_registry(str(tmp_path / "new.json")) == str(tmp_path / "new.json")


def test_a_work_directory_is_local() -> None:
    with pytest.raises(
        LocationError, match=r"^--work-dir \(FLICKER_WORK_DIR\): found 's3://b/k', expected a local dir"
    ):
        Settings.from_env({"FLICKER_WORK_DIR": "s3://b/k"})


@pytest.mark.parametrize("variable", ["FLICKER_REGISTRY_FILE", "FLICKER_STATE_DIR", "FLICKER_WORK_DIR"])
@pytest.mark.parametrize("location", ["gs://b/k", "S3://b/k", "\t", "s3:b/k"])
def test_the_environment_is_read_as_strictly(variable: str, location: str) -> None:
    with pytest.raises(LocationError, match=rf"\({variable}\): "):
        Settings.from_env({variable: location})


@pytest.mark.fuzz
@given(location=st.text(max_size=60) | st.from_regex(r"\A[sS]3[an]?:?/{0,3}[a-z@.:\\ ]{0,9}/?.{0,9}\Z"))
@example("s3:")
@example("\udcff")
def test_any_text_is_an_address_a_path_or_one_line(location: str) -> None:
    try:
        checked_location(location)
    except LocationError as error:
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert location.startswith("s3://") or "://" not in location[:8]
