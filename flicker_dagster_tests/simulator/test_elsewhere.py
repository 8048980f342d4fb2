"""The next link of an answer can be made to lead to another host, however a vendor spells it; other links stay."""

from __future__ import annotations

import pytest

from flicker_dagster.simulator.elsewhere import lead_elsewhere
from flicker_dagster.simulator.server import Response

SELF = b'{"self":"https://api.test/v1","rows":[{"url":"https://api.test/1"}],'


@pytest.mark.parametrize(
    ("plain", "led"),
    [
        (b'"next":"/v1?c=1"}', b'"next":"http://evil.invalid/v1?c=1"}'),
        (b'"next":"https://api.test/v1"}', b'"next":"http://evil.invalid/v1"}'),
        (b'"links":{"next":{"href":"/v1"}}}', b'"links":{"next":{"href":"http://evil.invalid/v1"}}}'),
        (b'"next":{"after":"x","link":"https://a.test/"}}', b'"next":{"after":"x","link":"http://evil.invalid/"}}'),
        (b'"next_page":{"path":"/","uri":"https://a.test/"}}', b'"next_page":{"path":"/","uri":"http://evil.invalid/"}}'),
        (b'"next_page_url":"https://a.test/"}', b'"next_page_url":"http://evil.invalid/"}'),
        (b'"next_link":"https://a.test/"}', b'"next_link":"http://evil.invalid/"}'),
        (b'"nextPageLink":"https://a.test/"}', b'"nextPageLink":"http://evil.invalid/"}'),
        (b'"nextRecordsUrl": "/query/1"}', b'"nextRecordsUrl": "http://evil.invalid/query/1"}'),
        (b'"@odata.nextLink":"https://a.test/v1"}', b'"@odata.nextLink":"http://evil.invalid/v1"}'),
        (b'"next":null}', b'"next":null}'),
        (b'"next":"opaque"}', b'"next":"opaque"}'),
    ],
)  # fmt: skip
def test_the_next_link_of_a_document(plain: bytes, led: bytes) -> None:
    response = Response(200, SELF + plain)
    lead_elsewhere(response)
    assert response.body == SELF + led


def test_the_links_of_a_header() -> None:
    link = '<https://a.test/v1?c=1>; rel="next", <https://a.test/v1>; rel="first"'
    response = Response(200, b"[]", [("Link", link), ("Location", "https://a.test/")])
    lead_elsewhere(response)
    assert response.headers == [
        ("Link", link.replace("https://a.test", "http://evil.invalid")),
        ("Location", "https://a.test/"),
    ]
