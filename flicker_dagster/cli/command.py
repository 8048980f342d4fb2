"""How the command ends: every failure is one line on standard error and an exit code, whatever is typed or piped."""

from __future__ import annotations

import difflib
import errno
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from flicker_dagster.errors import ConfigError, FlickerError, LocationError, StartRefused, StoreRefused
from flicker_dagster.orchestration.logs import LEVEL_VAR, level
from flicker_dagster.printable import visible

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


class FlickerGroup(click.Group):
    """A group that says what was probably meant, shows its help where nothing is asked, and as the outermost one ends the
    process."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            close = difflib.get_close_matches(args[0], known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else f"; there are {', '.join(known)}"
            raise click.UsageError(f"no command {args[0][:100]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **extra: Any) -> NoReturn:
        extra["standalone_mode"] = False
        _prepare_streams()
        run = super().main
        code = _exit_code(lambda: run(args, prog_name, **extra))
        sys.exit(_flushed(code))


def _exit_code(run: Callable[[], Any]) -> int | str | None:
    """Run the command; the exit code. Every error is one line, never a traceback."""
    try:
        returned = run()
        return returned if isinstance(returned, int) else 0  # click answers the code of `ctx.exit()`
    except SystemExit as ended:
        return ended.code
    except click.exceptions.Abort as abort:
        asked = isinstance(abort.__cause__ or abort.__context__, KeyboardInterrupt)
        _say("interrupted" if asked else "nothing was done")
        return EXIT_INTERRUPTED if asked else EXIT_FAILED
    except click.ClickException as error:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx is not None else "flicker"
        _say(f"{error.format_message()} (see `{path} --help`)")
        return error.exit_code
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        return EXIT_USAGE
    except FlickerError as error:
        _say(str(error))
        return EXIT_USAGE if isinstance(error, LocationError | StartRefused | StoreRefused) else EXIT_FAILED
    except OSError as error:
        if error.errno == errno.EPIPE:  # `flicker status | head`: who reads has seen enough
            return _quiet()
        _trace()
        where = f" {os.fspath(error.filename)!r}" if isinstance(error.filename, str) else ""
        _say(f"{error.strerror or type(error).__name__}{where}; {_HOW_TO_TRACE}")
        return EXIT_FAILED
    except Exception as error:
        _say(defect_told(error))
        return EXIT_FAILED


def defect_told(error: Exception) -> str:
    """A line about an error that nobody foresaw, without its own text, which nobody has masked."""
    _trace()
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).parent.name}/{Path(last.filename).name}, line {last.lineno}"
    return f"internal error, please report it: {type(error).__name__} in {where}; {_HOW_TO_TRACE}"


_HOW_TO_TRACE = f"{LEVEL_VAR}=debug shows the trace"


def _say(message: str) -> None:
    click.echo(visible(f"flicker: {message}"), err=True)


def _trace() -> None:
    if level() <= logging.DEBUG:
        traceback.print_exc()


def _prepare_streams() -> None:
    """Standard streams that are open and take any character: a file opened later must never be what `print` writes to."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        elif number and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _flushed(code: int | str | None) -> int | str | None:
    """Flush while a failure can still be told: at the interpreter's end it would be a traceback."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            return _quiet()
        _quiet()
        _say(f"cannot write the output: {error.strerror}")
        return EXIT_FAILED
    return code


def _quiet() -> int:
    """Nothing more is written to standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_FAILED
