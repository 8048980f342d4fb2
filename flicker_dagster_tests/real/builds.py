"""Programs that are built or fetched once, below `.real/` of the checkout (or FLICKER_REAL_DIR), and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flicker_dagster.state.files import exclusive

ROOT = Path(__file__).parents[2]
RECIPES = Path(__file__).parent / "recipes"
HOME = Path(os.environ.get("FLICKER_REAL_DIR", ROOT / ".real"))

#: A build that has not ended by then hangs.
BUILD_S = 1200


class Unavailable(Exception):
    """Why a receiver cannot be had here, in a line."""


@dataclass(frozen=True)
class Build:
    """`make` fills a folder, and says what it does in a log; `version` and the files of its recipe name the folder.
    `tools` are programs that it needs, each with what to install."""

    name: str
    version: str
    tools: dict[str, str]
    make: Callable[[Path, Path], None]  # the folder, and the log

    @property
    def recipe(self) -> Path:
        return RECIPES / self.name

    @property
    def folder(self) -> Path:
        digest = hashlib.sha256(self.version.encode())
        for path in sorted(self.recipe.rglob("*")) if self.recipe.is_dir() else ():
            digest.update(path.name.encode() + (path.read_bytes() if path.is_file() else b""))
        return HOME / f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"

    def ready(self) -> Path:
        """The folder. Raises Unavailable where it was not made."""
        if not self.folder.is_dir():
            self.check_tools()
            raise Unavailable(f"{self.name} is not built: `make test-real` does it")
        return self.folder

    def check_tools(self) -> None:
        """Raises Unavailable naming the first tool that is missing."""
        for tool, package in self.tools.items():
            if find(tool) is None:
                raise Unavailable(f"{self.name}: {tool} is missing ({package})")

    def prepare(self) -> Path:
        """The folder, made if need be. Raises Unavailable."""
        with exclusive(HOME / f".{self.name}.lock"):
            if self.folder.is_dir():
                return self.folder
            self.check_tools()
            part, log = HOME / f".{self.name}.part", HOME / f"{self.name}.log"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            log.unlink(missing_ok=True)
            try:
                self.make(part, log)
            except (subprocess.SubprocessError, OSError) as error:
                last = log.read_text("utf-8", "replace").strip().splitlines()[-1:] if log.exists() else []
                what = f"exit status {error.returncode}" if isinstance(error, subprocess.CalledProcessError) else error
                raise Unavailable(f"{self.name}: {what}: {''.join(last)[:200]} (all of it in {log})") from None
            for old in HOME.glob(f"{self.name}-*/"):
                shutil.rmtree(old)
            part.rename(self.folder)
            return self.folder


def find(tool: str) -> str | None:
    """A program by its name; the system's daemons are not on every user's path."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin:/usr/local/go/bin")


def run(log: Path, *command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a step of a build, its words in the log. Raises OSError, SubprocessError."""
    program = find(str(command[0])) or str(command[0])
    with log.open("ab") as file:
        file.write(f"$ {' '.join(map(str, command))}\n".encode())
        file.flush()
        began_s = time.monotonic()
        subprocess.run(
            [program, *map(str, command[1:])],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=BUILD_S,
            check=True,
        )
        file.write(f"# {time.monotonic() - began_s:.0f} s\n".encode())


def fetch_jars(recipe: Path, into: Path, log: Path) -> None:
    """What a pom names and that needs, from Maven's registry."""
    run(
        log,
        "mvn",
        "--quiet",
        "--batch-mode",
        "--file",
        recipe / "pom.xml",
        "dependency:copy-dependencies",
        f"-DoutputDirectory={into}",
    )
