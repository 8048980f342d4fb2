"""Faults of the vocabulary's keys that types cannot say."""

from __future__ import annotations

from collections.abc import Iterator

from flicker_dagster.config.endpoints import endpoint_fault
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.parts import part_fault
from flicker_dagster.config.patterns import BadPattern, compiled
from flicker_dagster.config.vocabulary import Each, Origin, Over, Paging

Fault = tuple[str, str]


def check_vocabulary(source: SourceConfig) -> list[Fault]:
    """Keys that contradict each other or mean nothing, each with what is wrong and what was expected."""
    found: list[Fault] = []
    if source.auth is not None:
        found += [(f"auth.{key}" if key else "auth", what) for key, what in source.auth.faults()]
    for host, url in source.connect_to.items():
        fault = endpoint_fault(url)
        found += [] if fault is None else [(f"connect_to.{host}", fault)]
    if source.paging is not None:
        found += [(f"paging.{key}", what) for key, what in _paging(source.paging)]
    if source.paging is not None and source.pagination.model_fields_set:
        found.append(("paging", "stands beside pagination, expected one of the two"))
    if source.request.body is not None and source.request.form is not None:
        found.append(("request.form", "stands beside request.body, expected one of the two"))
    if source.request.method == "GET" and (source.request.body is not None or source.request.form is not None):
        found.append(("request.method", "is GET, which sends no body, expected POST"))
    if source.axis_field is not None and source.axis != "arrival":
        found.append(("axis_field", "has no meaning for axis: event, expected axis: arrival beside it"))
    if source.auth is not None and source.auth.type == "part":
        found += [("auth.name", what) for what in _part(source.auth.name)]
    if source.rows.part is not None:
        found += [("rows.part", what) for what in _part(source.rows.part)]
        if "shape" in source.rows.model_fields_set:
            found.append(("rows.shape", "stands beside rows.part, which reads the answer: expected one of the two"))
    for number, rule in enumerate(source.answers):
        found += [(f"answers[{number}].matches", what) for what in _pattern(rule.matches)]
        if rule.wait_s is not None and rule.means != "wait":
            found.append((f"answers[{number}].wait_s", f"has no meaning for means: {rule.means}, expected means: wait"))
    found += _each(source.each) if source.each is not None else []
    found += _over(source.over) if source.over is not None else []
    return found


def _paging(paging: Paging) -> Iterator[Fault]:
    origins = paging.following if isinstance(paging.following, list) else [paging.following]
    if any(origin.gives == "cursor" for origin in origins) and paging.cursor is None and paging.next is None:
        yield "cursor", "is missing, expected where the cursor goes, such as {into: query, at: cursor}"
    if paging.more is not None and not origins and paging.page is None and paging.offset is None:
        yield "more", "says that there is more, and nothing says how to ask for it: expected following, page or offset"
    for key in ("more", "total", "size"):
        origin: Origin | None = getattr(paging, key)
        if origin is not None and origin.of in ("link", "row"):
            yield key, f"found of: {origin.of}, expected json or header"


def _part(name: str) -> list[str]:
    fault = part_fault(name)
    return [] if fault is None else [fault]


def _pattern(pattern: str | None) -> Iterator[str]:
    if pattern is None:
        return
    try:
        compiled(pattern)
    except BadPattern as error:
        yield f"found {pattern!r}, expected a regular expression ({error})"


def _each(each: Each) -> Iterator[Fault]:
    if "{object" not in f"{each.url} {each.query} {each.headers} {each.body}":
        yield "each.url", "names no object, expected {object} or {object.path} in url, query, headers or body"
    if each.wait_until is not None:
        for what in _pattern(each.wait_until.matches):
            yield "each.wait_until.matches", what
    if each.then_url is not None and each.wait_until is None:
        yield "each.then_url", "has no meaning without wait_until, expected the rule that tells a finished job"


def _over(over: Over) -> Iterator[Fault]:
    if (over.members is None) == (over.url is None):
        which = "missing" if over.url is None else "given beside members"
        yield "over.url", f"is {which}, expected where the set is listed, or its members"
