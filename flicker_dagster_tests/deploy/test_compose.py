"""deploy/docker-compose.yml: valid, and the documented deployment."""

from __future__ import annotations

from flicker_dagster_tests.deploy.builders import (
    DEPLOY,
    DOCUMENTED_ARGUMENTS,
    DOCUMENTED_VARIABLES,
    ROOT,
    load_yaml,
    run,
    tool,
)

PATH = DEPLOY / "docker-compose.yml"
SERVICE = load_yaml(PATH)[0]["services"]["flicker"]


def test_it_is_valid_by_the_compose_specification() -> None:
    checked = run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(PATH))
    assert checked.returncode == 0, checked.stdout


def test_it_sets_every_documented_variable() -> None:
    assert set(SERVICE["environment"]) == DOCUMENTED_VARIABLES


def test_it_runs_the_documented_command() -> None:
    assert SERVICE["command"].split() == ["flicker", *DOCUMENTED_ARGUMENTS]


def test_it_mounts_the_example_configuration_read_only() -> None:
    source, target, mode = SERVICE["volumes"][0].split(":")
    assert (DEPLOY / source).resolve() == ROOT / "config.yaml"
    assert (target, mode) == ("/config/config.yaml", "ro")


def test_the_user_interface_is_published_to_this_machine_only() -> None:
    assert SERVICE["ports"] == ["127.0.0.1:3000:3000"]
