"""The rows of the matrix: what may happen at a vendor, and that each event arrives once all the same."""

from __future__ import annotations

from flicker_dagster_tests.catalogue.scenes import HOUR_MS, MOST_POLLS, CatalogueScene, Check

#: A poll's worth of events: several of the smallest pages.
MANY = 11


def plain(scene: CatalogueScene) -> None:
    """Events before and between polls arrive once; where there is nothing new, nothing is sent."""
    scene.emit(MANY, seconds_ago=600)
    scene.drain()
    scene.emit(MANY)
    scene.drain()
    scene.assert_each_once()
    batches = scene.siem.inbox(scene.path).batches
    for _ in range(2):
        scene.clock.wait(60)
        scene.poll_anyhow()
    assert scene.siem.inbox(scene.path).batches == batches, "a poll without anything new has sent something"


def late(scene: CatalogueScene) -> None:
    """An event that is listed after younger ones is found by the next polls, or by the window's sweep."""
    scene.begin()
    scene.emit(3, seconds_ago=90, visible_in_s=100)
    scene.emit(MANY)
    scene.drain()
    scene.clock.wait(120)
    scene.drain()
    if scene.missing():
        assert scene.source.sweep.enabled, "nothing looks again"
        assert scene.source.window.askable, "nothing can look again"
        at_ms = min(event.published_ms for event in scene.listed() if event.id in scene.missing())
        window = scene.window_of(at_ms)
        scene.clock.wait(max(0, window.end_ms - scene.clock.now_ms) / 1000 + scene.source.sweep.settle_ms / 1000)
        scene.sweep_anyhow(window)
    scene.assert_each_once()


def duplicate(scene: CatalogueScene) -> None:
    """A row that is listed twice is one event."""
    scene.begin()
    for copies in (1, 2, 2, 1, 3, 1):
        scene.emitter.emit(2, at_ms=scene.clock.now_ms - 5_000, copies=copies)
    scene.drain()
    scene.assert_each_once()


def reordered(scene: CatalogueScene) -> None:
    """Events are stored in another order than they happened."""
    scene.begin()
    for seconds_ago in (40, 5, 31, 12, 22, 8, 50, 6, 17):
        scene.emit(1, seconds_ago=seconds_ago)
    scene.drain()
    scene.assert_each_once()


def ties(scene: CatalogueScene) -> None:
    """Many events of one instant, across pages."""
    scene.begin()
    scene.emit(2 * MANY, seconds_ago=30, apart_ms=0)
    scene.emit(MANY, seconds_ago=5, apart_ms=0)
    scene.drain()
    scene.assert_each_once()


def limited(scene: CatalogueScene) -> None:
    """The vendor says in its own way that there were too many requests, and when to come again."""
    scene.begin()
    scene.emit(MANY)
    scene.vendor.faults.plan("429", after=1, seconds=20)
    before_s = scene.clock()
    scene.drain()
    scene.assert_each_once()
    assert scene.clock() > before_s


def unavailable(scene: CatalogueScene) -> None:
    """Answers of 500 and 503, at the first page and within a walk."""
    scene.begin()
    scene.emit(MANY)
    scene.vendor.faults.plan("500")
    scene.vendor.faults.plan("503", after=2)
    scene.drain()
    scene.assert_each_once()


def cut(scene: CatalogueScene) -> None:
    """An answer that ends in the middle, and one that is half a text."""
    scene.begin()
    scene.emit(MANY)
    scene.vendor.faults.plan("cut", after=1)
    scene.vendor.faults.plan("truncated", after=2)
    scene.drain()
    scene.assert_each_once()


def one_quota(scene: CatalogueScene) -> None:
    """Two streams of one account have one small quota between them."""
    other = scene.beside()
    assert other.source.vendor_key == scene.source.vendor_key
    for each in (scene, other):
        each.begin()
    scene.vendor.per_minute = 6
    for each in (scene, other):
        each.emit(MANY)
    for _ in range(MOST_POLLS):
        for each in (scene, other):
            each.poll_anyhow()
        if not scene.missing() and not other.missing():
            break
        scene.clock.wait(20)
    for each in (scene, other):
        each.assert_each_once()


def expired_cursor(scene: CatalogueScene) -> None:
    """A cursor that was good is refused, within a walk and at the beginning of the next poll."""
    _met_twice(scene, "expired")


def expired_token(scene: CatalogueScene) -> None:
    """A token that ends, and one that is revoked while it is good, are renewed once each."""
    scene.begin()
    scene.emit(MANY)
    scene.drain()
    minted = scene.vendor.minting.minted
    scene.vendor.minting.revoke_all()
    scene.emit(MANY)
    scene.drain()
    scene.assert_each_once()
    assert scene.vendor.minting.minted <= minted + 1
    scene.clock.wait(2 * 3600)
    scene.emit(MANY)
    scene.drain()
    scene.assert_each_once()


def one_token(scene: CatalogueScene) -> None:
    """Ten polls of thirty seconds mint one token."""
    scene.begin()
    before, began_s = scene.vendor.minting.minted, scene.clock()
    for _ in range(10):
        scene.emit(2)
        scene.poll_anyhow()
        scene.clock.wait(30)
    scene.drain()
    scene.assert_each_once()
    lives = (scene.clock() - began_s) / (scene.vendor.token_lifetime_s / 2)
    assert scene.vendor.minting.minted <= before + 1 + int(lives), "more tokens were minted than ended"


def empty_page(scene: CatalogueScene) -> None:
    """A page without events that names a next one is no end."""
    _met_twice(scene, "empty")


def _met_twice(scene: CatalogueScene, fault: str) -> None:
    """Within a walk, and at the beginning of the next poll."""
    scene.begin()
    scene.emit(MANY)
    scene.vendor.faults.plan(fault, after=1)
    scene.drain()
    scene.emit(MANY)
    scene.vendor.faults.plan(fault)
    scene.drain()
    scene.assert_each_once()


def skewed(scene: CatalogueScene) -> None:
    """The vendor's clock and ours are an hour apart."""
    scene.begin()
    for _ in range(2):
        ahead_ms = scene.emitter.now_ms() - scene.clock.now_ms
        for number in range(MANY):
            scene.emitter.emit(1, at_ms=scene.clock.now_ms + ahead_ms - 5_000 + 100 * number)
        scene.drain()
    scene.assert_each_once()


def killed(scene: CatalogueScene) -> None:
    """The process dies after a page, and the next one goes on."""
    scene.begin()
    scene.emit(3 * MANY, seconds_ago=20)
    scene.clock.wait((scene.source.delay_ms + 1000) / 1000)
    scene.die_after_page(1)
    scene.die_after_page(2)
    scene.drain()
    scene.assert_each_once()


def swept(scene: CatalogueScene) -> None:
    """A window's certificate counts what the vendor has of it, finds what nobody collected, and does so once."""
    scene.begin()
    if not scene.source.window.askable:
        return
    scene.emit(MANY, seconds_ago=300)
    scene.drain()
    scene.clock.wait(HOUR_MS / 1000)
    window = scene.window_of(scene.clock.now_ms - HOUR_MS)
    if scene.source.window.size == "day":
        scene.clock.wait(86_400)
    settled_ms = window.end_ms + scene.source.sweep.settle_ms + scene.source.delay_ms
    scene.clock.wait(max(0, settled_ms - scene.clock.now_ms) / 1000 + 60)
    report = scene.sweep_anyhow(window)
    axis = "visible_ms" if scene.source.listing.by_arrival else "published_ms"
    inside = [event for event in scene.listed() if window.start_ms <= getattr(event, axis) < window.end_ms]
    assert report.tally.seen >= len(inside), f"certified {report.tally.seen} events of {len(inside)}"
    assert report.tally.new == 0 or not scene.received()
    again = scene.sweep_anyhow(window)
    assert again.tally.new == 0
    scene.assert_each_once()


def fetched_once(scene: CatalogueScene) -> None:
    """No object of a listing is fetched a second time, by polls, a killed one, a sweep or the next process."""
    scene.begin()
    scene.emit(MANY, seconds_ago=60)
    scene.clock.wait((scene.source.delay_ms + 1000) / 1000)
    scene.die_after_page(2)
    scene.drain()
    for _ in range(3):
        scene.clock.wait(60)
        scene.poll_anyhow()
    scene.assert_each_once()
    again = {name: times for name, times in scene.vendor.fetched.items() if times > 1}
    assert len(again) <= 1, f"fetched more than once: {again}"  # one may have been killed before it was on the disk


#: Row, what it is called, and the trait that a vendor needs for it.
ROWS: dict[str, tuple[Check, str | None]] = {
    "plain": (plain, None),
    "late": (late, "late"),
    "duplicate": (duplicate, "copies"),
    "reordered": (reordered, "late"),
    "ties": (ties, None),
    "429": (limited, None),
    "one quota": (one_quota, "streams"),
    "5xx": (unavailable, None),
    "cut": (cut, None),
    "expired cursor": (expired_cursor, "expired"),
    "expired token": (expired_token, "minted"),
    "one token": (one_token, "minted"),
    "empty page": (empty_page, "empty"),
    "clock +1 h": (skewed, None),
    "clock -1 h": (skewed, None),
    "kill": (killed, None),
    "sweep": (swept, None),
    "objects once": (fetched_once, "objects"),
}
