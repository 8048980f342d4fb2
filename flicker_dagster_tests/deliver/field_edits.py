"""Rules for the fields of one event, applied as a lane applies them; masked under a key of the tests'."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from flicker_dagster.deliver.field_mask import FieldMask
from flicker_dagster.deliver.field_rules import FieldEditor, Tally

KEY = "correct horse battery staple"
MASK = FieldMask(KEY)


def digest(text: str, key: str = KEY) -> str:
    return "***" + hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]


def edit(event: str, tally: Tally | None = None, **rules: Any) -> str:
    return FieldEditor(**rules, masked_by=MASK).apply(event.encode(), tally or Tally()).decode()
