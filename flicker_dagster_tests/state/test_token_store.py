"""Tokens at rest: encrypted, replaced only in place of what was read, and told by name when they cannot be read."""

from __future__ import annotations

import base64
import json
import logging
import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.errors import StateError, TokenUnreadable
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.stores import ANYTHING, LocalStore, Store
from flicker_dagster.state.token_keys import VARIABLE
from flicker_dagster.state.token_store import TokenStore
from flicker_dagster.transport.tokens import Token

KEY = "okta/audit@sentinel"
CANARY, REFRESH = "canary-access-token-7f3a", "canary-refresh-token-91bd"
TOKEN = Token(CANARY, expires_ms=1_790_000_000_000, refresh=REFRESH, extra={"for": "canary-extra-55aa"})
ONE, TWO = bytes(range(32)).hex(), bytes(range(1, 33)).hex()


def where(key: str = KEY) -> str:
    return f"tokens/{key.replace('/', '%2F').replace('@', '%40')}"


def tokens_of(store: Store, work_dir: Path, keys: str = ONE) -> TokenStore:
    return TokenStore(store, work_dir, env={VARIABLE: keys} if keys else {})


# -- keeping


def test_what_is_kept_is_found_by_another_process(store: Store, tmp_path: Path) -> None:
    assert tokens_of(store, tmp_path).get(KEY) is None
    assert tokens_of(store, tmp_path).put(KEY, TOKEN, replacing=None) == TOKEN
    assert tokens_of(store, tmp_path).get(KEY) == TOKEN
    assert tokens_of(store, tmp_path).get("okta/audit@other") is None


def test_a_token_is_replaced_only_in_place_of_the_one_that_was_read(store: Store, tmp_path: Path) -> None:
    ours, theirs = tokens_of(store, tmp_path), tokens_of(store, tmp_path)
    ours.put(KEY, TOKEN, replacing=None)
    read = ours.get(KEY)
    newer = theirs.put(KEY, Token("newer"), replacing=theirs.get(KEY))
    assert ours.put(KEY, Token("late"), replacing=read) == newer
    assert ours.put(KEY, Token("later"), replacing=None) == newer
    assert ours.get(KEY) == newer
    assert ours.put(KEY, Token("third"), replacing=newer) == Token("third") == theirs.get(KEY)


def test_writers_that_race_agree_on_one(store: Store, tmp_path: Path) -> None:
    """Of a rotating refresh token every process must use the same successor."""
    first = tokens_of(store, tmp_path).put(KEY, TOKEN, replacing=None)
    found: list[Token] = []
    ready = threading.Barrier(6)

    def renew(number: int) -> None:
        ours = tokens_of(store, tmp_path)
        ready.wait()
        found.append(ours.put(KEY, Token(f"next-{number}"), replacing=first))

    threads = [threading.Thread(target=renew, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len({token.value for token in found}) == 1
    assert tokens_of(store, tmp_path).get(KEY) == found[0]


def test_a_token_is_forgotten_or_carried_over_by_name(store: Store, tmp_path: Path) -> None:
    tokens = tokens_of(store, tmp_path)
    tokens.carry_over(KEY, "new@sentinel")
    assert tokens.get("new@sentinel") is None
    tokens.put(KEY, TOKEN, replacing=None)
    tokens.carry_over(KEY, "new@sentinel")
    tokens.forget(KEY)
    tokens.forget(KEY)
    assert (tokens.get(KEY), tokens.get("new@sentinel")) == (None, TOKEN)


def test_names_are_told_without_keys(store: Store, tmp_path: Path) -> None:
    long = f"{'ü' * 90}/audit@sentinel"
    for name in (KEY, "github@sentinel", long):
        tokens_of(store, tmp_path).put(name, TOKEN, replacing=None)
    found = store.read(where())
    assert found is not None
    store.write("tokens/moved", found.data, expected=None)
    store.write("tokens/damaged", b"{}", expected=None)
    assert tokens_of(store, tmp_path, TWO).names() == sorted([KEY, "github@sentinel", long])
    assert tokens_of(store, tmp_path).get(long) == TOKEN


def test_the_layout_opens_it_and_touches_nothing_before_it_is_asked(tmp_path: Path) -> None:
    layout = StateLayout.of(None, tmp_path / "state", tmp_path / "work")
    tokens = layout.tokens()
    assert list(tmp_path.iterdir()) == []
    tokens.put(KEY, TOKEN, replacing=None)
    assert (tmp_path / "work" / "token-key").is_file()
    assert (tmp_path / "state" / where()).is_file()
    assert layout.tokens().get(KEY) == TOKEN


# -- at rest


def test_no_file_log_error_or_text_shows_a_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    layout = StateLayout.of(None, tmp_path / "state", tmp_path / "work")
    tokens = layout.tokens()
    tokens.put(KEY, TOKEN, replacing=None)
    tokens.put(KEY, Token(CANARY, refresh=REFRESH), replacing=TOKEN)
    with tokens.minting(KEY):
        texts += [repr(tokens.get(KEY)), repr(tokens)]
    layout.store.write(where(), b'{"version":1,"key":"canary"}', expected=ANYTHING)
    with pytest.raises(TokenUnreadable) as failed:
        tokens.get(KEY)
    texts += [str(failed.value), repr(failed.value), caplog.text]
    tokens.put(KEY, TOKEN, replacing=None)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    spellings = [
        CANARY,
        REFRESH,
        "canary-extra",
        base64.b64encode(CANARY.encode())[:24].decode(),
        CANARY.encode().hex(),
    ]
    for held in [path.read_bytes().decode("latin-1") for path in files] + texts:
        assert not [spelt for spelt in spellings if spelt in held]


def test_the_same_token_never_makes_the_same_object(store: Store, tmp_path: Path) -> None:
    seen = set()
    tokens = tokens_of(store, tmp_path)
    for _ in range(3):
        tokens.put(KEY, TOKEN, replacing=tokens.get(KEY))
        found = store.read(where())
        assert found is not None
        seen.add(found.data)
    assert len(seen) == 3


some_tokens = st.builds(
    Token,
    st.text(),
    expires_ms=st.none() | st.integers(0, 2**53),
    refresh=st.none() | st.text(),
    extra=st.dictionaries(st.text(), st.text(), max_size=4),
    minted_ms=st.none() | st.integers(0, 2**53),
)


@given(token=some_tokens, key=st.text(min_size=1, max_size=60))
def test_every_token_comes_back_as_it_was(tmp_path_factory: Any, token: Token, key: str) -> None:
    home = tmp_path_factory.mktemp("tokens")
    tokens_of(LocalStore(home), home).put(key, token, replacing=None)
    assert tokens_of(LocalStore(home), home).get(key) == token


@given(data=st.data())
def test_an_object_that_was_tampered_with_gives_the_same_token_or_none(tmp_path_factory: Any, data: Any) -> None:
    home = tmp_path_factory.mktemp("tokens")
    store = LocalStore(home)
    tokens_of(store, home).put(KEY, TOKEN, replacing=None)
    found = store.read(where())
    assert found is not None
    text = bytearray(found.data)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        how = data.draw(st.sampled_from(["change", "cut", "insert"]))
        if how == "change":
            text[at] = data.draw(st.integers(0, 255))
        elif how == "cut":
            del text[at : at + data.draw(st.integers(1, 8))]
        else:
            text.insert(at, data.draw(st.integers(0, 255)))
        if not text:
            break
    store.write(where(), bytes(text), expected=ANYTHING)
    told = ""
    try:
        assert tokens_of(store, home).get(KEY) == TOKEN  # white space, or unused bits of base64
    except StateError as error:
        told = str(error)
    assert CANARY not in told
    assert not told or where() in told


@pytest.mark.parametrize("part", ["nonce", "sealed"])
@pytest.mark.parametrize("bit", [0, 1, 7])
def test_one_bit_is_enough_to_be_damaged(tmp_path: Path, part: str, bit: int) -> None:
    store = LocalStore(tmp_path)
    tokens_of(store, tmp_path).put(KEY, TOKEN, replacing=None)
    found = store.read(where())
    assert found is not None
    value = json.loads(found.data)
    for at in range(len(base64.b64decode(value[part]))):
        raw = bytearray(base64.b64decode(value[part]))
        raw[at] ^= 1 << bit
        store.write(where(), json.dumps({**value, part: base64.b64encode(raw).decode()}).encode(), expected=ANYTHING)
        with pytest.raises(TokenUnreadable, match="is damaged"):
            tokens_of(store, tmp_path).get(KEY)


# -- what cannot be read


def test_a_token_that_was_moved_to_another_name_is_none(store: Store, tmp_path: Path) -> None:
    """Else whoever writes to the bucket could have one destination's token sent to another."""
    tokens = tokens_of(store, tmp_path)
    tokens.put(KEY, TOKEN, replacing=None)
    found = store.read(where())
    assert found is not None
    store.write(where("other@http"), found.data, expected=None)
    with pytest.raises(TokenUnreadable, match="moved there from another name"):
        tokens.get("other@http")


@pytest.mark.parametrize("held", [b"", b"{}", b"\xff\xfe", b'{"version":1}', b'{"version":"x"}', b"[1]"])
def test_damage_is_told_by_name_and_mended_by_who_needs_nothing_of_it(
    store: Store, tmp_path: Path, held: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(where(), held, expected=ANYTHING)
    tokens = tokens_of(store, tmp_path)
    with pytest.raises(TokenUnreadable, match="is damaged") as failed:
        tokens.get(KEY)
    assert store.describe(where()) in str(failed.value)
    with pytest.raises(TokenUnreadable):
        tokens.put(KEY, TOKEN, replacing=Token("read before"))
    assert tokens.put(KEY, TOKEN, replacing=None) == TOKEN == tokens.get(KEY)
    assert store.describe(where()) in caplog.text


def test_what_a_newer_version_wrote_is_refused_and_stands(store: Store, tmp_path: Path) -> None:
    store.write(where(), b'{"version":2,"other":true}', expected=None)
    tokens = tokens_of(store, tmp_path)
    for refused in (lambda: tokens.get(KEY), lambda: tokens.put(KEY, TOKEN, replacing=None)):
        with pytest.raises(StateError, match="newer Flicker"):
            refused()
    found = store.read(where())
    assert found is not None
    assert found.data == b'{"version":2,"other":true}'


def test_a_foreign_key_is_told_with_what_to_do(store: Store, tmp_path: Path) -> None:
    tokens_of(store, tmp_path).put(KEY, TOKEN, replacing=None)
    for keys in (TWO, ""):
        with pytest.raises(TokenUnreadable, match=r"the key [0-9a-f]{16}.*Set FLICKER_TOKEN_KEY") as failed:
            tokens_of(store, tmp_path, keys).get(KEY)
        assert ONE not in str(failed.value)
        assert TWO not in str(failed.value)


# -- keys that change


def test_a_new_key_in_front_takes_over_and_the_old_one_may_go(store: Store, tmp_path: Path) -> None:
    tokens_of(store, tmp_path, ONE).put(KEY, TOKEN, replacing=None)
    assert tokens_of(store, tmp_path, f"{TWO},{ONE}").get(KEY) == TOKEN
    assert tokens_of(store, tmp_path, TWO).get(KEY) == TOKEN, "it was encrypted anew when it was read"
    with pytest.raises(TokenUnreadable):
        tokens_of(store, tmp_path, ONE).get(KEY)


def test_a_variable_takes_over_from_the_key_file(store: Store, tmp_path: Path) -> None:
    tokens_of(store, tmp_path, "").put(KEY, TOKEN, replacing=None)
    assert tokens_of(store, tmp_path, ONE).get(KEY) == TOKEN
    (tmp_path / "token-key").unlink()
    assert tokens_of(store, tmp_path, ONE).get(KEY) == TOKEN


# -- taking turns


def _mint(home: str, into: str) -> None:
    """As an authenticator does: look, and mint only where nobody has."""
    tokens = tokens_of(LocalStore(home), Path(home))
    with tokens.minting(KEY):
        if tokens.get(KEY) is None:
            with open(into, "a") as file:
                file.write("minted\n")
            time.sleep(0.05)  # as long as a token endpoint takes
            tokens.put(KEY, TOKEN, replacing=None)


def test_processes_of_one_machine_take_turns(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    into = str(tmp_path / "minted")
    processes = [spawn.Process(target=_mint, args=(str(tmp_path), into)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert Path(into).read_text() == "minted\n"


def test_who_holds_its_turn_too_long_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flicker_dagster.state.token_store.MINTING_S", 0.05)
    tokens = tokens_of(LocalStore(tmp_path), tmp_path)
    with tokens.minting(KEY), tokens.minting("another"), tokens.minting(KEY):
        assert tokens.put(KEY, TOKEN, replacing=None) == TOKEN


def test_a_lock_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    (tmp_path / "token-locks").write_text("")
    with pytest.raises(StateError, match="cannot lock"), tokens_of(LocalStore(tmp_path), tmp_path).minting(KEY):
        pass
