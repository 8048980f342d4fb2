r"""Regular expressions of filters, run by RE2: in time linear in the text, whatever pattern and text are.

The language is that of the documented product (Rust's `regex`, which is RE2's with Unicode classes): `\d`, `\w` and `\s` know
all scripts, `$` is the end of the text and nothing before it, and look-around and backreferences do not exist. Python's
spellings of the same (`\Z`, `\u00e9`, `{,3}`) are understood.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import re2

#: Text times states of the pattern that one search may cost at most (a few tenths of a second), and the longest text.
_MOST_WORK = 200_000_000
MOST_TEXT_BYTES = 1 << 20

_WORD = r"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}"
_SPACE = r"\t\n\v\f\r \x{85}\p{Z}"
_OUTSIDE = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "w": f"[{_WORD}]",
    "W": f"[^{_WORD}]",
    "s": f"[{_SPACE}]",
    "S": f"[^{_SPACE}]",
}
_INSIDE = {"d": r"\p{Nd}", "D": r"\P{Nd}", "w": _WORD, "s": _SPACE}

_CODE = r"\\u\{(?P<braced>[0-9a-fA-F]{1,6})\}|\\u(?P<short>[0-9a-fA-F]{4})|\\U(?P<long>[0-9a-fA-F]{8})|\\[pP]\{[^}]*\}"
_TOKEN = re.compile(
    _CODE + r"|(?P<quoted>\\Q.*?(?:\\E|\Z))|\\(?P<escaped>.)|(?P<upto>\{,(?=\d+\}))|(?P<opens>\[\^?\]?)|.", re.DOTALL
)
_IN_CLASS = re.compile(_CODE + r"|\\(?P<escaped>.)|\[:\^?\w+:\]|(?P<both>&&)|(?P<closes>\])|.", re.DOTALL)

#: Plain words, perhaps anchored: Python finds them at a tenth of what asking an engine costs.
_PLAIN = re.compile(r"(\^?)([\w @:/,=-]*)(\$?)")

#: What RE2 says, and what a user needs to know.
_IMPOSSIBLE = (
    (re.compile(r"\(\?<?[=!]"), "look-ahead and look-behind are not possible, as matching takes linear time"),
    (
        re.compile(r"invalid escape sequence: \\[1-9]|\(\?P=|\(\?P$"),
        "backreferences are not possible, as matching takes linear time",
    ),
    (
        re.compile(r"bad repetition operator: .\+|\(\?>"),
        "possessive and atomic groups are not needed, as nothing backtracks",
    ),
    (re.compile(r"\(\?[a-zA-Z]*x"), "the x flag (verbose) is not known"),
    (re.compile(r"invalid repetition size"), "1000 repetitions are the most, also of groups in groups"),
)


class BadPattern(ValueError):
    """A regular expression that cannot be used; the message says why."""


class Pattern:
    """A compiled regular expression."""

    def __init__(self, pattern: str) -> None:
        options = re2.Options()
        options.never_capture = True
        options.log_errors = False
        try:
            compiled = re2.compile(_translated(pattern), options)
        except re2.error as error:
            raise BadPattern(_words(pattern, error)) from None
        except UnicodeEncodeError:
            raise BadPattern("it holds half of a surrogate pair") from None
        self.most_bytes = min(MOST_TEXT_BYTES, _MOST_WORK // max(1, compiled.programsize))
        self._search = compiled.search
        self._plain = _PLAIN.fullmatch(pattern)

    def found_in(self, text: str) -> bool | None:
        """Does the pattern match anywhere in a text? None for a text too long to be searched."""
        if self._plain is not None:
            begins, words, ends = self._plain.groups()
            if begins:
                return text == words if ends else text.startswith(words)
            return text.endswith(words) if ends else words in text
        searched = text.encode("utf-8", "surrogatepass")
        return None if len(searched) > self.most_bytes else self._search(searched) is not None


@lru_cache(1024)
def compiled(pattern: str) -> Pattern:
    """A pattern ready for use. Raises BadPattern."""
    return Pattern(pattern)


def _translated(pattern: str) -> str:
    """The same pattern in RE2's spelling. Raises BadPattern."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        assert found is not None
        at = found.end()
        code, escaped = found["braced"] or found["short"] or found["long"], found["escaped"]
        if code:
            out.append(f"\\x{{{code}}}")
        elif escaped:
            out.append(r"\z" if escaped == "Z" else _OUTSIDE.get(escaped, found[0]))
        elif found["upto"]:
            out.append("{0,")
        elif found["opens"]:
            out.append(found[0])
            at = _class(pattern, at, out)
        else:
            out.append(found[0])
    return "".join(out)


def _class(pattern: str, at: int, out: list[str]) -> int:
    """The inside of a bracket expression; gives where it ends. Raises BadPattern."""
    while at < len(pattern):
        found = _IN_CLASS.match(pattern, at)
        assert found is not None
        at = found.end()
        code, escaped = found["braced"] or found["short"] or found["long"], found["escaped"]
        if found["both"]:
            raise BadPattern("&& between sets of characters is not possible; write the characters out")
        if code:
            out.append(f"\\x{{{code}}}")
        elif escaped in ("W", "S"):
            out.append(_all_but(escaped))
        else:
            out.append(_INSIDE.get(escaped or "", found[0]))
        if found["closes"]:
            break
    return at


@lru_cache
def _all_but(kind: str) -> str:
    r"""`\W` or `\S` inside of brackets, where RE2 knows only what is named one by one: as ranges."""
    ranges: list[str] = []
    first: int | None = None
    for code in range(0x110001):
        outside = code < 0x110000 and not 0xD800 <= code <= 0xDFFF and not _belongs(chr(code), kind)
        if outside and first is None:
            first = code
        elif not outside and first is not None:
            ranges.append(f"\\x{{{first:x}}}-\\x{{{code - 1:x}}}")
            first = None
    return "".join(ranges)


def _belongs(character: str, kind: str) -> bool:
    category = unicodedata.category(character)
    if kind == "S":
        return character in "\t\n\v\f\r\x85" or category[0] == "Z"
    return category[0] in "LM" or category in ("Nd", "Nl", "Pc")


def _words(pattern: str, error: Exception) -> str:
    said = error.args[0] if error.args else ""
    said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    impossible = next((words for known, words in _IMPOSSIBLE if known.search(said)), None)
    if impossible is not None:
        return impossible
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as found:  # it names the place
        return str(found)
    return said
