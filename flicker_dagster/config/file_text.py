"""The text of the configuration file: a bounded read of an ordinary file, and what is no YAML told by its first bytes."""

from __future__ import annotations

import codecs
import os
import stat

from flicker_dagster.errors import ConfigError

#: About 5,000 sources written out in full.
MAX_FILE_BYTES = 4 * 1024 * 1024

#: How files of other kinds begin.
_OTHER_KINDS = {
    codecs.BOM_UTF32_LE: "is UTF-32 text, expected UTF-8; save it as UTF-8",
    codecs.BOM_UTF32_BE: "is UTF-32 text, expected UTF-8; save it as UTF-8",
    codecs.BOM_UTF16_LE: "is UTF-16 text, expected UTF-8; save it as UTF-8",
    codecs.BOM_UTF16_BE: "is UTF-16 text, expected UTF-8; save it as UTF-8",
    b"\x1f\x8b": "is compressed (gzip), expected YAML",
    b"PK\x03\x04": "is a ZIP archive, expected YAML",
    b"\x7fELF": "is a program, expected YAML",
}


def read_file_text(path: str) -> str:
    """The file's text without a byte order mark. Raises ConfigError with one line.

    The file is read again and again for as long as Flicker runs, so a pipe, which can be read once, is refused.
    """
    data = _bytes_of(path)
    for beginning, what in _OTHER_KINDS.items():
        if data.startswith(beginning):
            raise ConfigError([f"{path}:1: {what}"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"the byte #x{data[error.start]:02x} is not UTF-8, expected UTF-8 text"
        raise ConfigError([f"{path}:{line}: {what}"]) from None
    if text.lstrip().startswith("<"):
        raise ConfigError([f"{path}:1: begins with '<' as XML or HTML does, expected YAML"])
    return text


def _bytes_of(path: str) -> bytes:
    try:
        # Without O_NONBLOCK, opening a named pipe that nobody writes to never ends.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(handle).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError([f"{path}: is {_kind_of(mode)}, expected a YAML file"])
            with open(handle, "rb", closefd=False) as file:
                data = file.read(MAX_FILE_BYTES + 1)
        finally:
            os.close(handle)
    except FileNotFoundError:
        if os.path.islink(path):
            raise ConfigError([f"{path}: is a link to a file that does not exist"]) from None
        raise ConfigError([f"{path}: no such file; name the configuration with -c"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror or type(error).__name__}"]) from None
    except ValueError:
        raise ConfigError([f"{path!r}: is no path, expected the name of a file"]) from None
    if len(data) > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES // 1024**2} MiB"
        raise ConfigError([f"{path}: is larger than {limit}, expected a configuration of {limit} at most"])
    return data


def _kind_of(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a pipe", stat.S_ISCHR: "a device", stat.S_ISSOCK: "a socket"}
    return next((name for matches, name in kinds.items() if matches(mode)), "no ordinary file")
