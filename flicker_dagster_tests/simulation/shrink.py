"""From a script that breaks a law to the shortest one found that still breaks it."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterator

from flicker_dagster_tests.simulation.laws import broken
from flicker_dagster_tests.simulation.player import Player
from flicker_dagster_tests.simulation.steps import Poll, Script, Sweep, Trouble
from flicker_dagster_tests.simulation.world import World


def failure_of(script: Script, *, trace: Callable[[str], None] | None = None) -> str | None:
    """The law that a script breaks, in words, or None. A defect (any other exception) is one, too."""
    world = World(script, trace)
    try:
        Player(world).play()
        return broken(world)
    except AssertionError as error:
        return str(error) or _defect(error)
    except Exception as error:
        return _defect(error)
    finally:
        world.close()


def _defect(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"defect: {type(error).__name__}: {error} ({last.filename.rpartition('/')[2]}:{last.lineno})"


def shortest(script: Script) -> str:
    """The trace of the script, with as many steps and troubles left out as still breaks the same law."""
    law = _law(script)
    at = 0
    while at < len(script.steps):
        shorter = next((fewer for fewer in _simpler(script, at) if _law(fewer) == law), None)
        if shorter is None:
            at += 1
        else:
            script = shorter
    lines: list[str] = [str(script)]
    why = failure_of(script, trace=lines.append)
    return "\n".join([*lines, f"broken: {why}"])


def _law(script: Script) -> str:
    return (failure_of(script) or "").split(":")[0]


def _simpler(script: Script, at: int) -> Iterator[Script]:
    """The script without a step, and then with fewer of what goes wrong in it."""
    before, step, behind = script.steps[:at], script.steps[at], script.steps[at + 1 :]
    yield dataclasses.replace(script, steps=before + behind)
    if isinstance(step, Poll | Sweep):
        for name, none in vars(Trouble()).items():
            if getattr(step.trouble, name) != none:
                trouble = dataclasses.replace(step.trouble, **{name: none})
                yield dataclasses.replace(script, steps=(*before, dataclasses.replace(step, trouble=trouble), *behind))
