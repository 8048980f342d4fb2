"""The documented configuration loads unchanged, and what a file may abbreviate means what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

import flicker_dagster
from flicker_dagster.config.load import load_config
from flicker_dagster.config.secrets import unset_variables
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.config.written import told, vendor_credentials
from flicker_dagster.errors import SecretUnset
from flicker_dagster_tests.config.builders import HEAD, SOURCE, entry, load

DOCUMENTED = Path(__file__).parents[1] / "data" / "documented-config.yaml"
TOKENS = {"OKTA_API_TOKEN": "a", "GITHUB_TOKEN": "b", "SALESFORCE_TOKEN": "c"}
SIEM = {"SIEM_ENDPOINT": "https://siem.example.com", "SIEM_API_KEY": "d"}


@pytest.fixture
def documented() -> FlickerConfig:
    return load_config(str(DOCUMENTED), env={})


def test_the_packaged_example_is_the_documented_file() -> None:
    packaged = Path(flicker_dagster.__file__).parent / "cli" / "example.yaml"
    assert packaged.read_bytes() == DOCUMENTED.read_bytes()


def test_the_documented_file_loads_without_any_variable_set(documented: FlickerConfig) -> None:
    assert [(source.name, source.vendor) for source in documented.sources] == [
        ("okta-audit-logs", "okta"),
        ("github-audit-log", "github"),
        ("salesforce-audit", "salesforce"),
    ]


def test_each_overruled_key_is_told_with_its_line(documented: FlickerConfig) -> None:
    assert [(each.line, each.source, each.key) for each in documented.overruled] == [
        (19, "okta-audit-logs", "pagination.pagination_type"),
        (21, "okta-audit-logs", "pagination.next_cursor_field"),
        (44, "github-audit-log", "timestamp_field"),
        (46, "github-audit-log", "time_filter_param"),
        (47, "github-audit-log", "time_filter_format"),
        (50, "github-audit-log", "pagination.pagination_type"),
        (51, "github-audit-log", "pagination.page_param"),
        (80, "salesforce-audit", "pagination.pagination_type"),
        (81, "salesforce-audit", "pagination.limit_param"),
        (82, "salesforce-audit", "pagination.offset_param"),
    ]


@pytest.mark.parametrize(
    ("source", "key", "reason"),
    [
        ("okta-audit-logs", "pagination.pagination_type", "Okta pages through the Link header"),
        ("github-audit-log", "time_filter_param", "GitHub's `after` is a paging cursor, not a time"),
        ("salesforce-audit", "pagination.offset_param", "OFFSET ends at 2,000 rows"),
    ],
)
def test_each_overruled_key_is_told_with_the_reason(
    documented: FlickerConfig, source: str, key: str, reason: str
) -> None:
    (why,) = [each.why for each in documented.overruled if (each.source, each.key) == (source, key)]
    assert reason in why


def test_okta_follows_the_link_header_between_polls(documented: FlickerConfig) -> None:
    okta = documented.source("okta-audit-logs")
    assert (okta.pagination.pagination_type, okta.pagination.durable_cursor) == ("link_header", True)
    assert (okta.pagination.page_size, okta.pagination.limit_param) == (100, "limit")
    assert (okta.id_field, okta.timestamp_field, okta.time_filter_param) == ("uuid", "published", "since")
    assert okta.query_params == {"sortOrder": "ASCENDING"}
    assert not okta.time_filter_bounded_live
    assert (okta.buffer_size, okta.flush_interval_ms, okta.polling_frequency_ms) == (50, 10_000, 30_000)


def test_github_puts_its_times_into_the_phrase(documented: FlickerConfig) -> None:
    github = documented.source("github-audit-log")
    assert github.query_params["phrase"] == "created:>={start} created:<={end}"
    assert github.time_filter_param is None
    assert (github.pagination.pagination_type, github.pagination.limit_param) == ("link_header", "per_page")
    assert github.id_field == "_document_id"
    assert github.headers["Authorization"] == "Bearer ${GITHUB_TOKEN}"
    assert github.headers["X-GitHub-Api-Version"] == "2022-11-28"


def test_salesforce_gets_the_query_that_its_comment_describes(documented: FlickerConfig) -> None:
    salesforce = documented.source("salesforce-audit")
    assert "FROM SetupAuditTrail WHERE CreatedDate >= {start}" in salesforce.query_params["q"]
    assert salesforce.pagination.next_url_field == "nextRecordsUrl"
    assert salesforce.pagination.limit_param is None
    assert (salesforce.id_field, salesforce.results_field) == ("Id", "records")


def test_each_unset_variable_is_told_with_its_place(documented: FlickerConfig) -> None:
    first = f"{DOCUMENTED}:9: okta-audit-logs: headers.Authorization: "
    lines = unset_variables(documented, SIEM)
    assert lines[0] == first + "${OKTA_API_TOKEN} is not set; set the environment variable OKTA_API_TOKEN"
    assert [line.split(": ")[1:3] for line in lines] == [
        [name, "headers.Authorization"] for name in ("okta-audit-logs", "github-audit-log", "salesforce-audit")
    ]
    assert len(unset_variables(documented, {})) == 9
    assert unset_variables(documented, TOKENS | SIEM) == []


# -- what a file may abbreviate


def test_a_named_destination_is_shared(tmp_path: Path) -> None:
    two = HEAD + "    destination: siem\n" + entry("two") + "    api_key: ${KEY}\n"
    shared = "destinations:\n  siem:\n    type: http\n    endpoint: ${SIEM}/in\n    timeout_ms: ${TIMEOUT:-5}\n"
    config = load(tmp_path, two + shared)
    assert config.sources[0].destination.endpoint == "${SIEM}/in"
    assert config.sources[0].destination.timeout_ms == 5
    assert config.sources[1].destination.endpoint == "https://siem.example.com"


def test_what_a_named_destination_lacks_is_told_where_it_is_defined(tmp_path: Path) -> None:
    text = HEAD + "    destination: siem\ndestinations:\n  siem:\n    type: http\n    endpoint: ${SIEM}/in\n"
    (line,) = unset_variables(load(tmp_path, text), {})
    assert line.startswith(f"{tmp_path}/config.yaml:10: one: destination.endpoint: ${{SIEM}} is not set")


def test_a_parameter_that_is_unset_is_told_once_for_all_streams_where_it_is_written(tmp_path: Path) -> None:
    zoom = (
        "  - name: zoom\n    vendor: zoom\n    params:\n      account_id: aBcD1234efGhIjKlMnOpQr\n"
        "      client_id: ZoomClientId0123456789\n      client_secret: ${ZOOM}\n    destination: {type: stdout}\n"
    )
    config = load(tmp_path, SOURCE + zoom + entry("last") + "    api_key: ${LAST}\n")
    secret, last = unset_variables(config, {})
    text = (tmp_path / "config.yaml").read_text().splitlines()
    at = text.index("      client_secret: ${ZOOM}") + 1
    assert secret.startswith(f"{tmp_path}/config.yaml:{at}: zoom: params.client_secret: ${{ZOOM}} is not set")
    at = text.index("    api_key: ${LAST}") + 1
    assert last.startswith(f"{tmp_path}/config.yaml:{at}: last: api_key: ${{LAST}} is not set")
    zoom_streams = [source for source in config.sources if source.source_name == "zoom"]
    assert len(zoom_streams) > 1
    error = SecretUnset("${ZOOM} is not set", reference="${ZOOM}")
    assert ": params.client_secret: ${ZOOM} is not set" in told(error, zoom_streams[0])
    assert "params.client_secret, from ${ZOOM} (" in vendor_credentials(zoom_streams[0])


def test_the_shared_retry_lies_beneath_that_of_a_source(tmp_path: Path) -> None:
    text = (
        SOURCE + "    retry: {max_retries: 2}\n" + entry("two") + "retry: {max_retries: 9, max_delay_ms: '${MAX:-7}'}\n"
    )
    one, two = load(tmp_path, text).sources
    assert (one.retry.max_retries, one.retry.max_delay_ms, one.retry.initial_delay_ms) == (2, 7, 1_000)
    assert (two.retry.max_retries, two.retry.max_delay_ms) == (9, 7)


def test_a_filter_may_be_its_pattern_alone(tmp_path: Path) -> None:
    text = SOURCE + "    match_on: [login, {field: actor.type, pattern: user}]\n    exclude_on: ['^debug']\n"
    (source,) = load(tmp_path, text).sources
    assert [(each.field, each.pattern) for each in source.match_on] == [(None, "login"), ("actor.type", "user")]
    assert [each.pattern for each in source.exclude_on] == ["^debug"]


def test_anchors_and_merges_share_keys_and_keep_lines(tmp_path: Path) -> None:
    text = (
        "x-defaults: &defaults\n  polling_frequency_ms: 60000\n  timestamp_field: at\n  api_key: ${SHARED}\n"
        "api_sources:\n  - name: one\n    <<: *defaults\n    timestamp_field: time\n"
        "    endpoint: https://api.example.com\n    destination: &siem {type: http, endpoint: https://siem.example.com}\n"
        "  - name: two\n    <<: [{buffer_size: 7, api_key: own}, *defaults]\n"
        "    endpoint: https://api.example.com\n    destination: *siem\n"
    )
    config = load(tmp_path, text)
    one, two = config.sources
    assert (one.timestamp_field, one.polling_frequency_ms, one.api_key) == ("time", 60_000, "${SHARED}")
    assert (two.timestamp_field, two.buffer_size, two.api_key) == ("at", 7, "own")
    assert two.destination == one.destination
    assert config.line_of("api_sources[0].timestamp_field") == 8
    assert config.line_of("api_sources[0].api_key") == 4
    assert config.line_of("api_sources[0].pagination.page_size") == 6


def test_keys_that_begin_with_x_are_the_users_own(tmp_path: Path) -> None:
    assert load(tmp_path, SOURCE + "x-owner: secops\nx-notes: [a, {b: c}]\n").sources[0].name == "one"


@pytest.mark.parametrize(
    ("line", "env", "value"),
    [
        ("buffer_size: ${SIZE:-5}", {}, 5),
        ("buffer_size: ${SIZE:-5}", {"SIZE": "6"}, 6),
        ("buffer_size: ${SIZE:-5}", {"SIZE": ""}, 5),
        ("buffer_size: ${SIZE}0", {"SIZE": "6"}, 60),
        ("slice_ms: ${SLICE}", {"SLICE": "1000"}, 1000),
        ("live: ${LIVE:-true}", {"LIVE": "no"}, False),
        ("live: ${LIVE:-yes}", {}, True),
        ("equal_rows: distinct", {}, "distinct"),
    ],
)
def test_numbers_and_switches_may_come_from_the_environment(
    tmp_path: Path, line: str, env: dict[str, str], value: object
) -> None:
    (source,) = load(tmp_path, SOURCE + f"    {line}\n", **env).sources
    assert getattr(source, line.split(":")[0]) == value


@pytest.mark.parametrize(("text", "value"), [("gzip", "gzip"), ("none", "none"), ("true", True), ("off", False)])
def test_compression_may_come_from_the_environment(tmp_path: Path, text: str, value: object) -> None:
    (source,) = load(tmp_path, SOURCE + "      compression: ${COMPRESSION}\n", COMPRESSION=text).sources
    assert source.destination.compression == value


def test_a_date_is_text(tmp_path: Path) -> None:
    (source,) = load(
        tmp_path, SOURCE + "    start_from: 2026-01-01\n    window: {start: 2026-01-01T00:00:00Z}\n"
    ).sources
    assert (source.start_from, source.window.start) == ("2026-01-01", "2026-01-01T00:00:00Z")


def test_a_key_in_a_header_of_its_own_may_stand_beside_authorization(tmp_path: Path) -> None:
    text = (
        SOURCE
        + "    api_key: ${KEY}\n    api_key_header: X-Gateway-Key\n    headers: {Authorization: 'Bearer ${TOKEN}'}\n"
    )
    assert load(tmp_path, text).sources[0].api_key_header == "X-Gateway-Key"
