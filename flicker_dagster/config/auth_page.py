"""The page `docs/auth.md`, made from the records: `python -m flicker_dagster.config.auth_page docs/auth.md` renews it."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from flicker_dagster.config.auth import WAYS
from flicker_dagster.config.auth.base import AsksTokenEndpoint, AuthRecord, MintsToken, SendsToken
from flicker_dagster.config.auth.signed import SigningKey
from flicker_dagster.config.destination_keys import KeyGroup, keys_of
from flicker_dagster.config.markdown import key_table, page_of
from flicker_dagster.config.shape import tag_of

#: Records that several kinds share, widest first, and what their keys are called on the page.
SHARED: tuple[tuple[type[AuthRecord], str], ...] = (
    (SendsToken, "Keys of every kind that sends a token"),
    (MintsToken, "Keys of every kind that asks for a token"),
    (AsksTokenEndpoint, "Keys of every kind of OAuth2"),
    (SigningKey, "Keys of every kind that signs with a private key"),
)


def kinds() -> list[type[AuthRecord]]:
    """Every way to sign, in the order of the union."""
    return list(WAYS.records().values())


def examples() -> list[dict[str, Any]]:
    """What may be written, each with a `title` and an `auth`."""
    return yaml.safe_load(resources.files("flicker_dagster.config.auth").joinpath("examples.yaml").read_text("utf-8"))


def page() -> str:
    return page_of(
        "# How requests are signed",
        "`auth` of a destination says how its requests are signed. Texts are templates: `${VAR}`, `${VAR:-default}`, "
        "`${file:/run/secrets/x}`, `${aws_secret:NAME}` or `${aws_secret:NAME#json.path}` of AWS Secrets Manager, and "
        "`${aws_ssm:/path}` of the SSM Parameter Store. They are looked up when they are used; what AWS keeps is remembered "
        "for five minutes. After a refusal all of them are read once more: a secret may be rotated while Flicker runs.",
        "`{name}` in a text is filled in by Flicker; which names a key knows, its meaning says.",
        "Tokens are kept encrypted beside the state, so that all streams of an account, all processes and the next runs share "
        "one. A refresh token that serves once is replaced there before the new access token is used. What is said of a "
        "refusal names the answer's own words, what to do, and a clock that is wrong.",
        *[part for record in kinds() for part in _kind(record)],
        *[part for record, title in SHARED for part in _shared(record, title)],
    )


def _kind(record: type[AuthRecord]) -> list[str]:
    tag = tag_of(record)
    own = [name for name in record.model_fields if not any(name in each.model_fields for each in _bases(record))]
    group = KeyGroup("", tuple(key for key in keys_of(record, "") if key.path in own))
    shared = [f"[{title[0].lower()}{title[1:]}](#{_anchor(title)})" for base, title in SHARED if base in _bases(record)]
    return [
        f"## `{tag}`",
        " ".join((record.__doc__ or "").split()),
        *[_example(each) for each in examples() if each["auth"]["type"] == tag],
        key_table(group),
        f"Beside them: {'; '.join(shared)}." if shared else "",
    ]


def _shared(record: type[AuthRecord], title: str) -> list[str]:
    inherited = {name for base in _bases(record) for name in base.model_fields}
    group = KeyGroup("", tuple(key for key in keys_of(record, "") if key.path not in inherited))
    return [f"## {title}", " ".join((record.__doc__ or "").split()), key_table(group)]


def _bases(record: type[AuthRecord]) -> list[type[AuthRecord]]:
    return [shared for shared, _ in SHARED if issubclass(record, shared) and record is not shared]


def _example(each: dict[str, Any]) -> str:
    text = yaml.safe_dump({"auth": each["auth"]}, sort_keys=False, width=110, allow_unicode=True)
    return f"{each['title']}:\n\n```yaml\n{text}```"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
