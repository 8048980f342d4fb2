"""Names of sources, windows and lots as names of files and S3 objects, and back."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from urllib.parse import quote, unquote

#: Longest name used as it is; file systems allow 255 bytes, and suffixes are still to come.
MAX_NAME_BYTES = 180


@lru_cache(maxsize=4096)
def file_safe(name: str) -> str:
    """`name` with everything but letters, digits, `_ - . ~` percent-encoded; never a dot file; a long one is hashed."""
    safe = quote(name, safe="")
    if safe.startswith("."):
        safe = "%2E" + safe[1:]
    if len(safe) <= MAX_NAME_BYTES:
        return safe
    tag = hashlib.blake2b(name.encode(), digest_size=12).hexdigest()
    return f"{safe[:100]}~{tag}"


def from_file_safe(safe: str) -> str:
    """The name that `file_safe` encoded (of a hashed one, only its beginning can be told)."""
    return unquote(safe)
