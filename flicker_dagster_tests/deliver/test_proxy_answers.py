"""What a proxy refuses in the destination's name is no word about the events."""

from __future__ import annotations

import pytest

from flicker_dagster.config.destinations.otlp import OtlpDestination
from flicker_dagster.deliver.destination import LaneContext, open_destination
from flicker_dagster.deliver.outcomes import Blocked
from flicker_dagster.deliver.proxy_answers import refused_by_proxy
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster.transport.exchange import Answer
from flicker_dagster_tests.deliver.contract import lots_of

#: As nginx 1.22 sends it.
PAGE = (
    "<html>\r\n<head><title>400 {title}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n"
    "<center>{title}</center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("No required SSL certificate was sent", "tls.cert_path and tls.key_path"),
        ("The SSL certificate error", "the client certificate of tls.cert_path is over"),
        ("The plain HTTP request was sent to HTTPS port", "https://"),
        ("Request Header Or Cookie Too Large", "large_client_header_buffers"),
    ],
)
def test_a_page_of_nginx_blocks(title: str, told: str) -> None:
    server = Server(lambda _: Response(400, PAGE.format(title=title).encode(), [("Content-Type", "text/html")]))
    try:
        record = OtlpDestination(type="otlp", endpoint=f"{server.url}/v1/logs")
        outcome = open_destination(record, LaneContext("okta")).send(lots_of(3)[0])
    finally:
        server.close()
    assert isinstance(outcome, Blocked)
    assert title in outcome.why
    assert told in outcome.why


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {}, b""),
        Answer(400, {}, b'{"error":"400 No required SSL certificate was sent"}'),
        Answer(400, {}, PAGE.format(title="Bad Request").encode()),
        Answer(400, {}, b"bad event: " + PAGE.format(title="The SSL certificate error").encode()),
        Answer(200, {}, PAGE.format(title="The SSL certificate error").encode()),
        Answer(422, {}, PAGE.format(title="The SSL certificate error").encode()),
    ],
)
def test_nothing_else_is_taken_for_one(answer: Answer) -> None:
    assert refused_by_proxy(answer) is None
