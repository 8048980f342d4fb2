"""No secret of a preset's account, and no token minted with one, lies in any file, log line or error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.config.vendors import presets
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.catalogue.rows import MANY
from flicker_dagster_tests.catalogue.scenes import scene_of

#: Every way to sign is among them.
VENDORS = (
    "okta", "google_workspace", "microsoft_365", "zoom", "dropbox", "duo", "docker_hub", "mongodb_atlas", "datadog",
    "lastpass", "salesforce", "onelogin", "jumpcloud", "twilio", "docusign",
)  # fmt: skip


@pytest.fixture(scope="module")
def siem() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_secret_lies_anywhere(tmp_path: Path, siem: Receiver, vendor: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    siem.forget()
    preset = presets()[vendor]
    stream = next(iter(preset.streams), "")
    with scene_of(tmp_path, siem, vendor, stream) as scene:
        scene.emit(MANY)
        scene.drain()
        for kind in ("401", "403", "400", "500"):
            scene.vendor.faults.plan(kind)
            scene.poll_anyhow()
        scene.drain()
        scene.assert_each_once()
        params = scene.vendor.params
        secrets = [params[name] for name, param in preset.params.items() if param.secret and name in params]
        minted = scene.vendor.minting.given_out
    wanted = {secret for secret in (*secrets, *minted) if len(secret) >= 8 and not secret.lstrip().startswith("{")}
    assert wanted
    said = "\n".join([*scene.failures, caplog.text])
    assert not [secret for secret in wanted if secret in said]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in wanted if secret.encode() in content], path
