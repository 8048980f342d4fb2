"""The command's entry: nothing is loaded yet, and Ctrl-C must not answer with a stack of half an import."""

from __future__ import annotations

import signal


def main() -> None:
    """`flicker`. While it loads, Ctrl-C ends it as it ends any command; from then on the command decides."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from flicker_dagster.cli.main import main as run

    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, before)
    run()
