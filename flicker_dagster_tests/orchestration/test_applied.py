"""One text of the configuration is in force for all, whatever the file says meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.definitions.repository_definition import RepositoryLoadData
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster import definitions as location
from flicker_dagster.cli.check_config import check
from flicker_dagster.errors import ConfigError
from flicker_dagster.orchestration import internals
from flicker_dagster.orchestration.applied import DIGEST_VAR, KEPT, AppliedConfig, digest_of
from flicker_dagster.orchestration.load_applied import load_or_last_good
from flicker_dagster.orchestration.settings import CONFIG_VAR, STATE_VAR, WORK_VAR, Settings

INITIALIZATION, RECONSTRUCTION = DefinitionsLoadType.INITIALIZATION, DefinitionsLoadType.RECONSTRUCTION
BROKEN = "api_sources:\n  - name: [\n"


def text_of(*names: str) -> str:
    source = (
        "  - name: {}\n    endpoint: http://127.0.0.1:9/\n    polling_frequency_ms: 5000\n    timestamp_field: time\n"
        "    destination: {{type: http, endpoint: 'http://127.0.0.1:9/'}}\n"
    )
    return "api_sources:\n" + "".join(source.format(name) for name in names)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = Settings(str(tmp_path / "config.yaml"), state_dir=str(tmp_path), work_dir=str(tmp_path / "work"))
    monkeypatch.setenv(CONFIG_VAR, found.config_path)
    monkeypatch.setenv(STATE_VAR, found.state_dir)
    monkeypatch.setenv(WORK_VAR, found.work_dir)
    monkeypatch.delenv(DIGEST_VAR, raising=False)
    monkeypatch.setattr(location, "_built", None)
    return found


@contextmanager
def loading(kind: DefinitionsLoadType, handed_over: dict[str, str] | None = None) -> Iterator[DefinitionsLoadContext]:
    data = RepositoryLoadData(reconstruction_metadata=handed_over) if handed_over is not None else None
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(kind, data)) as context:
        yield context


def loaded() -> set[str]:
    """The sources of the location as Dagster loads it now."""
    defs = location.defs()
    assert isinstance(defs, dg.Definitions)
    return {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}


def of(settings: Settings) -> AppliedConfig:
    return AppliedConfig(settings.work_dir, settings.config_path)


def test_a_location_reads_the_file_puts_it_in_force_and_hands_it_to_its_runs(settings: Settings) -> None:
    Path(settings.config_path).write_text(text_of("a"))
    with loading(INITIALIZATION) as context:
        assert loaded() == {"a"}
        handed_over = dict(context.get_pending_reconstruction_metadata())
    assert list(handed_over.values()) == [digest_of(text_of("a"))]
    assert of(settings).in_force() == digest_of(text_of("a"))
    for now in (text_of("b"), BROKEN, None):
        Path(settings.config_path).write_text(now) if now else os.unlink(settings.config_path)
        with loading(RECONSTRUCTION, handed_over) as context:
            assert loaded() == {"a"}
            assert dict(context.get_pending_reconstruction_metadata()) == handed_over, "a step's process gets it too"


def test_a_run_whose_text_is_no_longer_kept_takes_the_one_in_force(settings: Settings) -> None:
    Path(settings.config_path).write_text(text_of("a"))
    with loading(INITIALIZATION) as context:
        loaded()
        handed_over = dict(context.get_pending_reconstruction_metadata())
    Path(settings.config_path).write_text(BROKEN)
    with loading(RECONSTRUCTION, dict.fromkeys(handed_over, "0" * 32)):
        assert loaded() == {"a"}


def test_a_location_that_is_loaded_anew_from_a_broken_file_says_so_and_changes_nothing(settings: Settings) -> None:
    Path(settings.config_path).write_text(text_of("a"))
    with loading(INITIALIZATION):
        loaded()
    Path(settings.config_path).write_text(BROKEN)
    with loading(INITIALIZATION), pytest.raises(ConfigError, match=r"config\.yaml:\d+: "):
        loaded()
    assert of(settings).in_force() == digest_of(text_of("a"))


def test_a_code_server_of_a_supervisor_loads_what_that_names(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(settings.config_path).write_text(BROKEN)
    monkeypatch.setenv(DIGEST_VAR, of(settings).keep(text_of("named")))
    with loading(INITIALIZATION):
        assert loaded() == {"named"}
    assert of(settings).in_force() == digest_of(text_of("named"))


def test_where_nothing_can_be_written_the_location_still_loads(settings: Settings) -> None:
    Path(settings.config_path).write_text(text_of("a"))
    Path(settings.work_dir).write_text("no directory")
    with loading(INITIALIZATION):
        assert loaded() == {"a"}
    with loading(RECONSTRUCTION, {}):
        assert loaded() == {"a"}


def test_outside_of_dagsters_loading_nothing_is_put_in_force(settings: Settings) -> None:
    Path(settings.config_path).write_text(text_of("a"))
    before = DefinitionsLoadContext._instance
    DefinitionsLoadContext._instance = None
    try:
        assert not internals.initializes()
        assert loaded() == {"a"}
    finally:
        DefinitionsLoadContext._instance = before
    assert of(settings).in_force() is None


def test_kept_texts_are_read_by_their_user_only_and_as_they_were(settings: Settings) -> None:
    before = os.umask(0)
    try:
        digest = of(settings).keep(text_of("a") + "# naïve\r\n")
        of(settings).put_in_force(digest)
    finally:
        os.umask(before)
    kept = of(settings)
    for path in kept.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for made in (kept.directory, kept.directory.parent, Path(settings.work_dir)):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert kept.text(digest) == text_of("a") + "# naïve\r\n"
    (kept.directory / f"{digest}.yaml").write_text(text_of("b"))
    assert kept.text(digest) is None, "it is no longer what its name says"


def test_old_texts_are_forgotten_but_not_the_one_in_force(settings: Settings) -> None:
    applied = of(settings)
    first = applied.keep(text_of("first"))
    os.utime(applied.directory / f"{first}.yaml", (1, 1))
    applied.put_in_force(first)
    for number in range(KEPT + 3):
        applied.keep(text_of(f"s{number}"))
    assert applied.text(first) == text_of("first")
    assert len(list(applied.directory.glob("*.yaml"))) <= KEPT + 1


def test_two_files_on_one_work_directory_have_a_configuration_each(settings: Settings, tmp_path: Path) -> None:
    other = AppliedConfig(settings.work_dir, str(tmp_path / "other.yaml"))
    of(settings).put_in_force(of(settings).keep(text_of("a")))
    assert other.in_force() is None


def test_a_checked_text_is_kept_and_a_fault_is_one_line(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    Path(settings.config_path).write_text(text_of("a"))
    assert check(settings) == 0
    assert of(settings).text(of(settings).checked()) == text_of("a")
    assert of(settings).in_force() is None
    Path(settings.config_path).write_text(text_of("a").replace("endpoint", "end").replace("5000", "soon"))
    caplog.set_level("WARNING", logger="flicker")
    assert check(settings) == 2
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{settings.config_path}:2: ")
    assert "more, see flicker --validate" in said
    assert "nothing is changed" in said
    assert "\n" not in said
    assert of(settings).checked() == digest_of(text_of("a"))


def test_a_command_that_looks_goes_by_the_one_in_force_and_tells_the_fault(settings: Settings) -> None:
    Path(settings.config_path).write_text(BROKEN)
    with pytest.raises(ConfigError):
        load_or_last_good(settings)
    of(settings).put_in_force(of(settings).keep(text_of("a")))
    config, fault = load_or_last_good(settings)
    assert [source.name for source in config.sources] == ["a"]
    assert fault is not None
    assert settings.config_path in fault


@pytest.mark.fuzz
@given(st.text() | st.sampled_from(["../../etc/passwd", "..", "/etc/hostname", "a/b", "\x00", "٣"]))
def test_a_digest_that_is_none_names_no_file(tmp_path_factory: pytest.TempPathFactory, digest: str) -> None:
    applied = AppliedConfig(str(tmp_path_factory.getbasetemp() / "fuzz"), "config.yaml")
    assert applied.text(digest) is None
