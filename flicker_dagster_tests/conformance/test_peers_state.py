"""The peers' most telling complaints, 13 to 18: positions that stick, jump, are rounded, or move too early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.errors import BadAnswer, DestinationUnavailable, StateError, VendorRefused
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.state.stores import LocalStore
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster_tests.conformance.harness import plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.conformance.twists import twist

BEYOND_DOUBLES = 2**53 + 1

rows(
    "peers",
    {
        13: "a checkpoint silently failed to persist, and every run indexed the window again",
        14: "an empty result moved the position in memory and saved nothing; the stream asked for the future only",
        15: "an event dated 18 hours ahead moved the cursor, and the next runs read nothing",
        16: "a stream position above 2^53 was rounded",
        17: "an error while building the next page was a debug line and ended paging after 200 events",
        18: "the position was saved before the send, or a shutdown in its middle counted as success",
    },
)


@row("peers-13", behaviour="a position that cannot be written fails the run; what was delivered is recognised later")
def test_a_position_that_cannot_be_saved_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(30)
        scene.fetch()
        write = LocalStore.write

        def refuse(self: LocalStore, key: str, *arguments: Any, **options: Any) -> Any:
            if key == "registry.json":
                raise StateError("disk full")
            return write(self, key, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "write", refuse)
            with pytest.raises(StateError):
                scene.deliver()
        scene.poll()
        scene.assert_each_once()


@row("peers-14", behaviour="an empty poll is a poll: the position is saved, and the same span is asked again")
def test_an_empty_poll_keeps_its_position(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        for polls in range(1, 4):
            report = scene.poll()
            assert report.complete
            assert scene.vendor.requests == polls
            scene.clock.now_s += 60
        with scene.work() as work:
            assert work.registry.position("plain") == scene.cursor
        scene.emit(5, seconds_ago=150)
        scene.poll()
        scene.assert_each_once()


@row("peers-15", behaviour="an event of the future is delivered and never moves the position")
def test_an_event_of_the_future_does_not_move_the_position(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(5)
        scene.vendor.emitter.emit(1, at_ms=scene.clock.now_ms + 18 * 3_600_000, visible_ms=scene.clock.now_ms)
        twist_between(scene)
        report = scene.poll()
        assert report.tally.future == 1
        assert (parse_time_ms(report.end.last_timestamp or "") or 0) <= scene.clock.now_ms
        scene.clock.now_s += 10
        scene.emit(5)
        scene.poll()
        scene.assert_each_once()


def twist_between(scene: Any) -> None:
    """A vendor that takes no notice of the upper bound."""
    answer = scene.vendor.answer

    def unbounded(request: Any, *, expired: bool) -> Any:
        request.query["until"] = rfc3339_ms(scene.clock.now_ms + 86_400_000)
        return answer(request, expired=expired)

    scene.vendor.answer = unbounded


@row("peers-16", behaviour="cursors are text and ids keep every digit; events leave as the bytes they came")
def test_numbers_above_2_to_the_53_keep_every_digit(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        answer = scene.vendor.answer

        def big(_request: Any, found: dict[str, Any]) -> dict[str, Any]:
            cursor = found["meta"]["next_cursor"]
            found["meta"]["next_cursor"] = cursor and BEYOND_DOUBLES + int(cursor.removeprefix("after-"))
            for event in found["data"]["events"]:
                event["id"] = BEYOND_DOUBLES + event["number"]
            return found

        def small(request: Any, *, expired: bool) -> Any:
            if "cursor" in request.query:
                request.query["cursor"] = f"after-{int(request.query['cursor']) - BEYOND_DOUBLES}"
            return answer(request, expired=expired)

        scene.vendor.answer = small  # type: ignore[method-assign]
        twist(scene, big)
        scene.emit(35)
        scene.poll()
        scene.poll()
        assert scene.received() == {str(BEYOND_DOUBLES + number): 1 for number in range(35)}
        assert scene.vendor.requests == 8


@row("peers-17", behaviour="a next page that cannot be asked for fails the poll; nothing is taken for the end of data")
def test_a_next_link_that_leads_elsewhere_fails_the_poll(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(paging="link")) as scene:
        scene.emit(30)
        scene.vendor.faults.plan("wrong_host", after=1)
        with pytest.raises(VendorRefused):
            scene.poll()
        scene.poll()
        scene.assert_each_once()


@row("peers-17", behaviour="")
@pytest.mark.parametrize("cursor", [None, {"after": 1}, ["a"], True])
def test_more_without_a_usable_cursor_fails_the_poll(tmp_path: Path, cursor: Any) -> None:
    paging = {
        "pagination_type": "cursor",
        "cursor_param": "cursor",
        "next_cursor_field": "meta.next_cursor",
        "has_more_field": "meta.has_more",
        "limit_param": "limit",
        "page_size": 10,
    }
    with plain_scene(tmp_path, pagination=paging) as scene:
        scene.emit(30)
        broken = [True]

        def without(_request: Any, answer: dict[str, Any]) -> dict[str, Any]:
            if broken and answer["meta"]["has_more"]:
                answer["meta"]["next_cursor"] = cursor
            return answer

        twist(scene, without)
        with pytest.raises(BadAnswer, match="next"):
            scene.poll()
        broken.clear()
        scene.poll()
        scene.assert_each_once()


@row("peers-18", behaviour="the position moves after the SIEM's acknowledgement, and nowhere else")
@pytest.mark.parametrize("kind", ["500", "cut_before_commit"])
def test_the_position_waits_for_the_siem(tmp_path: Path, kind: str) -> None:
    with plain_scene(tmp_path, buffer_size=10) as scene:
        scene.emit(40)
        scene.fetch()
        stood = scene.cursor
        scene.siem.faults.plan(kind, after=2, count=None)
        with pytest.raises(DestinationUnavailable):
            scene.deliver()
        with scene.work() as work:
            assert work.registry.position("plain") == stood == scene.cursor
        scene.siem.faults.clear()
        scene.poll()
        scene.assert_each_once()
