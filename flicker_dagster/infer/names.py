"""What vendors call things. A name is never proof: it says what is tried first, and how a tie is decided."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

LIMIT = frozenset(
    {"limit", "perpage", "pagesize", "pagelimit", "count", "size", "maxresults", "top", "first", "itemsperpage",
     "recordsperpage", "rows", "take", "batchsize", "resultsperpage", "num", "max"}
)  # fmt: skip
OFFSET = frozenset({"offset", "skip", "startindex", "startat", "pageoffset", "start", "from", "position"})
PAGE = frozenset({"page", "pagenumber", "pagenum", "pageno", "pageindex", "currentpage", "p"})
CURSOR = frozenset(
    {"cursor", "after", "pagetoken", "nextpagetoken", "nexttoken", "startingafter", "pagecursor", "pageafter",
     "continuationtoken", "continue", "marker", "scrollid", "nextcursor", "streamposition", "afterid", "lastid"}
)  # fmt: skip
TOTAL = frozenset(
    {"total", "totalcount", "totalitems", "totalresults", "totalrecords", "totalhits",
     "totalelements", "totalrows", "odatacount", "numfound"}
)  # fmt: skip
ERRORS = frozenset({"error", "errors", "warnings", "messages", "faults", "issues"})
MORE = frozenset(
    {"hasmore", "hasnext", "more", "hasnextpage", "moreresults", "morepages", "hasmoreitems", "istruncated"}
)

#: Words of a parameter that asks for what happened before a time; any other that takes one asks for what came since.
UNTIL_WORDS = frozenset({"until", "to", "end", "before", "latest", "max", "lte", "lt", "stop", "till", "finish"})

TIME = frozenset(
    {"timestamp", "time", "published", "created", "createdat", "date", "datecreate", "datecreated", "eventtime", "occurred",
     "occurredat", "executiontime", "createddatetime", "loggedat", "eventdate", "activitydatetime", "createddate",
     "creationtime", "createtime", "eventtimestamp", "happenedat", "eventdatetime", "activitytime", "loggedon", "when", "ts"}
)  # fmt: skip
#: Words of times that an event has beside its own.
NOT_ITS_TIME = frozenset(
    {"updated", "modified", "expires", "expiry", "expiration", "expire", "last", "end", "ended", "until", "valid", "birth",
     "deleted", "changed", "seen", "deadline", "due"}
)  # fmt: skip
ID = frozenset(
    {"id", "uuid", "guid", "eventid", "eventuuid", "logid", "documentid", "auditid", "insertid", "recordid", "key",
     "auditlogid", "activityid", "uid"}
)  # fmt: skip
RESULTS = frozenset(
    {"data", "items", "events", "results", "records", "entries", "logs", "value", "auditlogs", "activities", "rows",
     "elements", "content", "list", "auditevents", "auditentries"}
)  # fmt: skip

#: Parameters that are likely to take a start, most usual first: tried only where somebody asks for it.
START_TRIED = (
    "since", "start_time", "startTime", "from", "start", "start_date", "startDate", "after", "oldest", "created_after",
    "fromDate", "filter[from]", "created[gte]", "created_at[gte]", "begin", "min_time",
)  # fmt: skip
LIMIT_TRIED = ("limit", "per_page", "page_size", "pageSize", "count", "maxResults", "size", "page[size]")

#: Parameters that carry a cursor, by what its field in the answer is called; where none is known, all of them are tried.
CURSOR_TRIED = {
    "nextpagetoken": ("pageToken", "page_token", "next_page_token", "nextPageToken"),
    "nexttoken": ("nextToken", "next_token", "pageToken"),
    "nextcursor": ("cursor", "next_cursor", "nextCursor", "after"),
    "after": ("after", "page[after]", "page[cursor]", "cursor"),
    "aftercursor": ("after", "page[after]", "cursor"),
    "endcursor": ("after", "cursor"),
    "cursor": ("cursor", "after"),
    "nextpage": ("page", "next_page", "cursor"),
    "nextoffset": ("offset", "cursor"),
    "offset": ("offset",),
    "next": ("cursor", "next", "after", "page"),
    "continuationtoken": ("continuationToken", "continuation_token", "continuation"),
    "nextstreamposition": ("stream_position",),
    "marker": ("marker",),
    "scrollid": ("scroll_id", "scrollId"),
    "lastid": ("after", "after_id", "starting_after"),
    "nextpageid": ("page", "pageId", "page_id"),
}
CURSOR_ANY = ("cursor", "after", "pageToken", "page_token", "next", "next_token")

#: Parameters that take the last event's id where an answer says no more than that there is more.
ROW_TRIED = ("starting_after", "after", "after_id", "last_id", "since_id", "cursor")


def words_of(name: str) -> list[str]:
    """`createdAt`, `created_at` and `created[at]` are the same words."""
    return [word.lower() for word in _WORD.findall(name)]


def plain(name: str) -> str:
    """The words in one: `page[size]` and `pageSize` are `pagesize`."""
    return "".join(words_of(name))


def last_of(path: str) -> str:
    """The last key of a dotted path."""
    return re.split(r"(?<!\\)\.", path)[-1].replace("\\.", ".")


def called(path: str) -> str:
    """What a value is called: by its last key, or by the one above where that is a type (`_id.$oid`, `at.$date`)."""
    keys = [key.replace("\\.", ".") for key in re.split(r"(?<!\\)\.", path)]
    return keys[-2] if len(keys) > 1 and keys[-1].startswith("$") else keys[-1]


def depth_of(path: str) -> int:
    """How many keys with names of their own stand around a value."""
    keys = re.split(r"(?<!\\)\.", path)
    return len(keys) - 1 - keys[-1].startswith("$")
