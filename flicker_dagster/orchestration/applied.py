"""Which configuration is in force: one text for definitions, sensors and runs alike, whatever the file says by now.

A text that was found valid is kept below the work directory under its digest. The code location loads one and hands its
digest to the runs it asks for, so that a run finds the definitions it was asked for with. One digest is the one in
force: what the code location loaded last.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from flicker_dagster.state.files import make_directory, replace_file

#: Set by the supervisor for a code server: load the text of this digest, not the file.
DIGEST_VAR = "FLICKER_CONFIG_DIGEST"

#: Texts that are kept. Runs asked for under an older one load the one in force.
KEPT = 20

_IN_FORCE, _CHECKED = "in-force", "checked"


class AppliedConfig:
    """The texts kept of one configuration file. Only its user can read them: some write secrets into it in clear."""

    def __init__(self, work_dir: str, config_path: str) -> None:
        name = hashlib.blake2b(os.fsencode(os.path.abspath(config_path)), digest_size=8).hexdigest()
        self.directory = Path(work_dir, "applied", name)

    def keep(self, text: str) -> str:
        """Keep a text that is valid; answers its digest. Raises OSError."""
        digest = digest_of(text)
        make_directory(self.directory)
        if self.text(digest) is None:
            self._write(f"{digest}.yaml", text)
        else:
            os.utime(self._kept(digest))
        self._forget()
        return digest

    def text(self, digest: str | None) -> str | None:
        """The text of a digest; None where it is not kept, or no longer what it was."""
        if digest is None or not digest.isalnum():
            return None
        with suppress(OSError, UnicodeDecodeError):
            text = self._kept(digest).read_bytes().decode()
            return text if digest_of(text) == digest else None
        return None

    def in_force(self) -> str | None:
        """The digest of what the code location loaded last."""
        return self._read(_IN_FORCE)

    def put_in_force(self, digest: str) -> None:
        self._write(_IN_FORCE, digest)

    def checked(self) -> str | None:
        """The digest of what the file held when it was last found valid; not yet, or already, in force."""
        return self._read(_CHECKED)

    def put_checked(self, digest: str) -> None:
        self._write(_CHECKED, digest)

    def _kept(self, digest: str) -> Path:
        return self.directory / f"{digest}.yaml"

    def _read(self, name: str) -> str | None:
        with suppress(OSError, UnicodeDecodeError):
            return (self.directory / name).read_text("utf-8").strip() or None
        return None

    def _write(self, name: str, text: str) -> None:
        replace_file(self.directory / name, text.encode(), durable=False)

    def _forget(self) -> None:
        spared = {self.in_force(), self.checked()}
        with suppress(OSError):  # another process forgets as well
            kept = sorted(self.directory.glob("*.yaml"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in kept[KEPT:]:
                if path.stem not in spared:
                    path.unlink(missing_ok=True)


def digest_of(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
