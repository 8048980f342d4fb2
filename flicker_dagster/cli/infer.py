"""`flicker infer URL`: a block for an API that nobody has described yet, found out from a few of its answers, with how sure
each line is. The block goes to standard output, everything else to standard error."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console

from flicker_dagster.cli.guide_text import prose
from flicker_dagster.cli.options import WebAddress, json_option
from flicker_dagster.cli.tables import show_json
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.masking import Masker
from flicker_dagster.config.vendor_fixes import fix_for
from flicker_dagster.config.vendors import presets_at_host
from flicker_dagster.errors import ConfigError, CredentialsRefused, FlickerError
from flicker_dagster.infer.asking import Asker
from flicker_dagster.infer.block import block_of, name_of
from flicker_dagster.infer.inquiry import Found, Inquiry
from flicker_dagster.infer.question import Question, question_of
from flicker_dagster.printable import visible

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@click.command("infer")
@click.argument("url", type=WebAddress())
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Sent with it; may hold '${VAR}'."
)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="One more parameter of the address.")
@click.option("--method", type=click.Choice(["GET", "POST"]), help="Default GET, or POST where there is a body.")
@click.option("--body", metavar="JSON|@FILE", help="Sent as JSON.")
@click.option("--bearer", metavar="VAR", help="Environment variable with the token: Authorization: Bearer …")
@click.option("--basic", metavar="USER:VAR", help="User name, and the environment variable with the password.")
@click.option("--name", help="What the source is called; default after the host.")
@click.option("--destination", default="NAME", show_default=True, help="The destination that the block names.")
@click.option(
    "--try", "tries", is_flag=True, help="Try likely names for what no answer shows (page size, start of a span)."
)
@json_option
def infer(
    url: str,
    headers: tuple[str, ...],
    params: tuple[str, ...],
    method: str | None,
    body: str | None,
    bearer: str | None,
    basic: str | None,
    name: str | None,
    destination: str,
    tries: bool,
    as_json: bool,
) -> None:
    """Find out how the API at URL lists its events, and write a source for it, with how sure each line is.

    URL is a request that you know to work, best with a span of time and a small page, such as
    'https://api.example.com/v1/audit?since=2026-05-02T00:00:00Z&limit=5'. Secrets are named by their variables:
    --bearer TOKEN_VAR, or -H 'X-Api-Key: ${KEY_VAR}' (in single quotes, so that the shell leaves it alone).
    """
    asked = question_of(
        url,
        method=method or ("GET" if body is None else "POST"),
        body=None if body is None else _json_of(body),
        headers=dict(_pair(each, ":", "--header") for each in headers),
        params=[_pair(each, "=", "--param") for each in params],
    )
    if bearer is not None:
        asked.findings.note("auth", {"type": "bearer", "token": _reference(bearer, "--bearer")}, "sure", "given")
    if basic is not None:
        user, variable = _pair(basic, ":", "--basic")
        login = {"type": "basic", "username": user, "password": _reference(variable, "--basic")}
        asked.findings.note("auth", login, "sure", "given")
    env = {**os.environ, **asked.secrets}
    _tell_known(asked.endpoint)
    try:
        with _quiet():
            found = Inquiry(asked, Asker(env=env), now_ms=int(time.time() * 1000), tries=tries).run()
    except FlickerError as error:
        raise FlickerError(_refused(error, asked)) from None
    block = block_of(found.findings, name=name or name_of(asked.endpoint), destination=destination)
    notes, found.fault = _loaded(block, env) if found.whole else ([], "")
    block = _headed(block, found, asked)
    if as_json:
        show_json(_document(found, block))
    else:
        click.echo(block, nl=False)
        _summarise(found, block, notes)
    raise SystemExit(0 if found.whole else 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """What fails while ways are tried is no news: what is worth it is told with the line that it is about."""
    log = logging.getLogger("flicker.collect")
    before = log.level
    log.setLevel(before if log.isEnabledFor(logging.DEBUG) else logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _refused(error: FlickerError, asked: Question) -> str:
    words = _masked(str(error).removeprefix("inferred: "), asked)
    keys = asked.findings.source()
    if isinstance(error, CredentialsRefused) and "auth" not in keys and "headers" not in keys and not asked.secrets:
        return f"{words.rstrip('.')}. Here: --bearer VAR, --basic USER:VAR, or -H 'NAME: ${{VAR}}'"
    advice = fix_for(None, words)
    return f"{words.rstrip('.')}. {advice}" if advice else words


def _loaded(block: str, env: Mapping[str, str]) -> tuple[list[str], str]:
    """What the loader notes about a block, or why it does not take it: names of a vendor's may be such as no file can hold."""
    try:
        whole = block.replace("destination: NAME", "destination: {type: stdout}")
        return parse_config(whole, path="block", env=env).notes, ""
    except ConfigError as error:
        problem = error.problems[0].partition(": ")[2]
        return [], f"No source can hold what was found: {problem}."


def _headed(block: str, found: Found, asked: Question) -> str:
    """The block below a comment that says what it rests on."""
    lines = [
        f"Inferred from {found.requests} requests to {urlsplit(asked.endpoint).hostname}. How sure each line is:",
        "sure: a further request has shown it, or it was given; probable: what was seen hardly allows anything else;",
        "guess: nothing but a name or a custom speaks for it. Compare guesses with the vendor's documentation.",
    ]
    if found.quotas:
        lines.append(f"The quota is told by headers ({', '.join(found.quotas)}), which are read without being named.")
    lines += found.said
    lines += [f"Set {variable}: its value was written out in the question." for variable in asked.secrets]
    return "".join(f"# {visible(line)}\n" for line in lines) + block


def _summarise(found: Found, block: str, notes: list[str]) -> None:
    screen = Console(stderr=True, highlight=False)
    counts = ", ".join(f"{block.count(f'  # {sure}: ')} {sure}" for sure in ("sure", "probable", "guess"))
    prose(
        screen,
        f"{found.requests} requests, {found.events} events on the first page; lines: {counts}.",
        first="",
        indent="",
    )
    for doubt in found.said:
        prose(screen, visible(doubt), first="- ", indent="  ")
    if not found.whole:
        return
    for note in notes:
        prose(screen, note.partition(": ")[2], first="- ", indent="  ")
    prose(
        screen,
        "Put it into config.yaml, then `flicker --validate`, `flicker test NAME` and `flicker --dry-run`.",
        first="",
        indent="",
    )


def _document(found: Found, block: str) -> dict[str, Any]:
    return {
        "whole": found.whole,
        "requests": found.requests,
        "events": found.events,
        "second_page": found.page_two,
        "quotas": found.quotas,
        "doubts": found.said,
        "lines": [
            {"key": each.key, "value": each.value, "sure": each.sure, "why": each.why} for each in found.findings
        ],
        "block": block,
    }


def _tell_known(endpoint: str) -> None:
    for preset in presets_at_host(endpoint):
        words = f"This API is known: `flicker vendors show {preset.vendor}`, `flicker add {preset.vendor}`."
        prose(Console(stderr=True, highlight=False), words, first="", indent="")


def _json_of(text: str) -> Any:
    try:
        return json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except OSError as error:
        raise click.UsageError(f"--body: {text[1:]!r} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise click.UsageError("--body is not JSON; expected such as '{\"limit\": 5}', or @FILE") from None


def _pair(text: str, between: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition(between)
    if not found or not name.strip():
        raise click.UsageError(f"{option}: expected NAME{between}VALUE")
    return name.strip(), value.strip()


def _reference(variable: str, option: str) -> str:
    """A variable as a reference; anything else may be the secret itself, which belongs into no command line."""
    bare = variable.removeprefix("${").removesuffix("}")
    if VARIABLE.fullmatch(bare) is None:
        raise click.UsageError(
            f"{option} wants the name of an environment variable, such as API_TOKEN, not the secret itself"
        )
    return f"${{{bare}}}"


def _masked(words: str, asked: Question) -> str:
    return Masker([], others=tuple(asked.secrets.values())).mask(words)
