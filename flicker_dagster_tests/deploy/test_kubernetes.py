"""deploy/kubernetes.yaml: valid, the documented deployment, and hardened."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from flicker_dagster.cli import supervise
from flicker_dagster.web import readiness
from flicker_dagster_tests.deploy.builders import (
    DEPLOY,
    DOCUMENTED_ARGUMENTS,
    DOCUMENTED_CONFIG,
    DOCUMENTED_VARIABLES,
    load_yaml,
    run,
    tool,
)

PATH = DEPLOY / "kubernetes.yaml"
OBJECTS: dict[tuple[str, str], Any] = {(one["kind"], one["metadata"]["name"]): one for one in load_yaml(PATH)}
DEPLOYMENT = OBJECTS["Deployment", "flicker-saas-logs"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
CONTAINER = POD["containers"][0]


def test_it_is_valid_by_the_schemas_of_kubernetes_unknown_keys_refused() -> None:
    checked = run(tool("kubernetes-validate"), "--strict", "--quiet", str(PATH))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_sets_every_documented_variable() -> None:
    assert {variable["name"] for variable in CONTAINER["env"]} == DOCUMENTED_VARIABLES


def test_it_passes_the_documented_arguments() -> None:
    assert CONTAINER["args"] == DOCUMENTED_ARGUMENTS
    assert "command" not in CONTAINER


def test_every_secret_it_reads_is_in_the_file() -> None:
    references = [variable["valueFrom"]["secretKeyRef"] for variable in CONTAINER["env"] if "valueFrom" in variable]
    assert len(references) == 6
    for reference in references:
        assert reference["key"] in OBJECTS["Secret", reference["name"]]["stringData"]


def test_its_configuration_is_the_documented_one() -> None:
    config = OBJECTS["ConfigMap", "flicker-config"]["data"]["config.yaml"]
    assert config.strip() == DOCUMENTED_CONFIG.read_text(encoding="utf-8").strip()


@pytest.mark.parametrize(
    ("probe", "path"), [("startupProbe", "/healthz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")]
)
def test_a_probe_asks_the_web_ui(probe: str, path: str) -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    asked = CONTAINER[probe]["httpGet"]
    assert (asked["path"], ports[asked["port"]]) == (path, 3000)


def test_a_probe_waits_longer_than_a_look_at_readiness_takes() -> None:
    assert CONTAINER["readinessProbe"]["timeoutSeconds"] > readiness.DEADLINE_S


def test_it_is_reached_at_its_user_interface_only_and_by_the_labelled_proxy() -> None:
    policy = OBJECTS["NetworkPolicy", "flicker-saas-logs"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= DEPLOYMENT["template"]["metadata"]["labels"].items()
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    [let_in] = policy["ingress"]
    assert let_in["ports"] == [{"protocol": "TCP", "port": "ui"}]
    assert let_in["from"] == [{"namespaceSelector": {"matchLabels": {"flicker-ui-proxy": "yes"}}}]


def test_it_reaches_names_and_https_only_and_not_the_credentials_of_its_node() -> None:
    names, https = OBJECTS["NetworkPolicy", "flicker-saas-logs"]["spec"]["egress"]
    assert [(port["protocol"], port["port"]) for port in names["ports"] + https["ports"]] == [
        ("UDP", 53),
        ("TCP", 53),
        ("TCP", 443),
    ]
    shut = [ipaddress.ip_network(each) for to in https["to"] for each in to["ipBlock"]["except"]]
    assert any(ipaddress.ip_address("169.254.169.254") in network for network in shut)


def test_it_waits_for_a_start_as_long_as_flicker_itself_does() -> None:
    probe = CONTAINER["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > supervise.START_TIMEOUT_S


def test_it_drains_before_it_is_killed() -> None:
    assert POD["terminationGracePeriodSeconds"] > supervise.STOP_S


def test_there_is_never_a_second_replica_while_one_is_replaced() -> None:
    assert DEPLOYMENT["replicas"] == 1
    assert DEPLOYMENT["strategy"] == {"type": "Recreate"}


def test_it_has_no_privileges() -> None:
    pod, container = POD["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"]
    assert pod["runAsUser"] == 10001
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["readOnlyRootFilesystem"]
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert POD["automountServiceAccountToken"] is False


def test_what_it_writes_lies_on_volumes_of_its_own() -> None:
    ephemeral = {volume["name"] for volume in POD["volumes"] if "emptyDir" in volume}
    writable = {mount["mountPath"] for mount in CONTAINER["volumeMounts"] if mount["name"] in ephemeral}
    assert writable == {"/var/lib/flicker", "/tmp"}
