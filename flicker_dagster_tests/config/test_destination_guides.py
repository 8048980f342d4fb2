"""What a guide tells to paste is a destination, and opening it asks nobody."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from flicker_dagster.config.destination_answers import fix_for
from flicker_dagster.config.destinations import destination_adapter, records
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.deliver.destination import LaneContext, open_destination

every_record = pytest.mark.parametrize("record", records().values(), ids=records())


def pasted(record: type[DestinationRecord]) -> DestinationRecord:
    ((_, keys),) = yaml.safe_load(record.GUIDE.block).items()
    return destination_adapter().validate_python(keys)


def _is_delivered(kind: str) -> bool:
    """Is there a module for it? What there was before destinations has none."""
    return find_spec(f"flicker_dagster.deliver.destinations.{kind}") is not None


@every_record
def test_its_block_is_a_destination_of_its_type_without_faults(record: type[DestinationRecord]) -> None:
    found = pasted(record)
    assert type(found) is record
    assert found.all_faults() == []
    assert all(isinstance(address, str) for address in found.addresses())


@every_record
def test_it_says_all_that_a_person_must_know(record: type[DestinationRecord]) -> None:
    guide = record.GUIDE
    assert guide.title
    assert guide.create
    assert guide.rights.endswith(".")
    assert guide.bound
    assert guide.tested
    assert guide.answers
    texts = [*guide.create, guide.rights, guide.bound, *guide.notes, guide.body, guide.identity, guide.time]
    texts += [text for answer in guide.answers for text in answer] + [fix.do for fix in guide.fixes]
    assert all(text.count("`") % 2 == 0 for text in texts)
    assert all("\n" not in text for text in texts)


@every_record
def test_what_to_search_for_names_the_event_and_nothing_is_left_to_fill_in(record: type[DestinationRecord]) -> None:
    found = pasted(record).search_for("0123456789abcdef0123456789abcdef", mark="flicker-test-1")
    assert "0123456789abcdef0123456789abcdef" in found or "flicker-test-1" in found
    assert "{" not in found.replace("{source}", "").removeprefix("{")


@every_record
def test_no_advice_hides_another_of_the_same_destination(record: type[DestinationRecord]) -> None:
    """The first that fits is told, so that a word inside an earlier one would never be reached."""
    said = [fix.said.lower() for fix in record.GUIDE.fixes]
    for place, later in enumerate(said):
        assert not [earlier for earlier in said[:place] if earlier in later]


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("splunk_hec", "HTTP 403 Forbidden: Invalid token, code 4", "HTTP Event Collector"),
        ("splunk_hec", "HTTP 403 Forbidden: text: Token disabled", "Enable the token"),
        ("datadog", "HTTP 401 Unauthorized", "set its variable"),
        ("http", "HTTP 401 Unauthorized: no", "credentials are wrong"),
        ("http", "HTTP 503 Service Unavailable", "a fault of its own"),
        ("http", "HTTP 302 Found", "leads elsewhere"),
        ("http", "cannot connect: NameResolutionError: x", "DNS"),
        ("http", "TLS failed: CERTIFICATE_VERIFY_FAILED", "ca_cert_path"),
        ("kafka", "_TRANSPORT: all brokers are down", "brokers"),
        ("kafka", "pip install: not installed", "flicker-dagster[kafka]"),
        ("s3", "HTTP 403 Forbidden, AccessDenied: no", "s3:PutObject"),
    ],
)
def test_the_particular_advice_goes_before_the_general_one(kind: str, said: str, expected: str) -> None:
    assert expected in (fix_for(records()[kind], said) or "")


def test_where_nothing_is_known_no_advice_is_made_up() -> None:
    assert fix_for(records()["http"], "zounds") is None


@pytest.mark.parametrize("record", [record for kind, record in records().items() if _is_delivered(kind)])
def test_opening_it_resolves_no_secret_and_asks_nobody(
    record: type[DestinationRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it connects"))
    destination = open_destination(pasted(record), LaneContext(stream="okta", env={}))
    assert destination.describe()
    destination.close()
