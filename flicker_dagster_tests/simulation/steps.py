"""What happens in a simulated world, step by step: drawn from a seed as plain records, so that a trace can be printed, and
made shorter by leaving some of it out."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

from flicker_dagster_tests.simulation.siem import Manners

VENDOR_STATUSES = (500, 503, 429, 400, 422, 404)
SIEM_STATUSES = (500, 503, 429, 401, 404)
NETWORK_FAULTS = ("lost", "unanswered", "doubled")
STORE_FAULTS = ("away", "lost", "again")

#: What goes wrong with a row of exchanges: a status of the server's own, a fault of the network, or nothing (0).
Faults = tuple[int | str, ...]


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with a run. `dies_at` is the number of the I/O at which its machine dies, by loss of power or not; at
    the I/O `between_at` a run of the same stream on another machine comes in between; where this one is `paused` then, until
    it is taken for dead."""

    vendor: Faults = ()
    siem: Faults = ()
    store: Faults = ()
    disk_full: bool = False
    dies_at: int | None = None
    power: bool = False
    between_at: int | None = None
    paused: bool = False

    def __repr__(self) -> str:
        given = {name: value for name, value in vars(self).items() if value not in ((), None, False)}
        return f"Trouble({', '.join(f'{name}={value!r}' for name, value in given.items())})"


@dataclass(frozen=True)
class Emit:
    """Events of a stream that happened `age_s` ago, to be listed `hidden_s` from now; `tied` all at one instant."""

    stream: int
    count: int
    age_s: int
    hidden_s: int
    tied: bool
    poison: bool


@dataclass(frozen=True)
class Wait:
    seconds: int


@dataclass(frozen=True)
class Poll:
    """A live run of a stream on a machine."""

    stream: int
    machine: int
    trouble: Trouble = Trouble()


@dataclass(frozen=True)
class Sweep:
    """Two hours later the newest closed windows are read again."""

    stream: int
    machine: int
    trouble: Trouble = Trouble()


@dataclass(frozen=True)
class LoseDisk:
    machine: int


@dataclass(frozen=True)
class Edit:
    """The configuration changes, for runs from now on."""

    stream: int
    key: str
    value: object


@dataclass(frozen=True)
class Rewind:
    """The position is set back by hand."""

    stream: int
    by_s: int


Step = Emit | Wait | Poll | Sweep | LoseDisk | Edit | Rewind

#: How often each kind of step comes. Each script bends the others its own way, so that each is the main trouble somewhere.
_OFTEN = {Emit: 8.0, Poll: 10.0}
_SOMETIMES = {Wait: 1.5, Sweep: 0.8, LoseDisk: 0.5, Edit: 1.5, Rewind: 0.8}


@dataclass(frozen=True)
class StreamShape:
    """How a stream's vendor lists, and how it is configured."""

    paging: str
    newest_first: bool
    page_size: int
    most: int
    with_ids: bool
    buffer_size: int
    format: Literal["json", "ndjson", "envelope"]
    run_pages: int
    lanes: tuple[str, ...] = ("http",)  # kinds of destinations


@dataclass(frozen=True)
class Script:
    """A world and what happens in it."""

    seed: int
    streams: tuple[StreamShape, ...]
    machines: int
    remote: bool
    manners: Manners
    steps: tuple[Step, ...] = field(repr=False)


@dataclass(frozen=True)
class Menu:
    """Kinds of trouble that scripts may hold."""

    machines: bool = True  # runs of a stream come now to this one, now to that
    partial: bool = True  # the SIEM refuses a part of what comes together
    formats: bool = True  # the format of a destination changes
    lanes: bool = True  # several destinations, of several kinds


def script_of(seed: int, menu: Menu) -> Script:
    """The script of a seed. The same seed and menu always give the same script."""
    chance = random.Random(seed)
    machines = 2 if menu.machines and chance.random() < 0.4 else 1
    streams = tuple(_shape(chance, menu) for _ in range(chance.choice([1, 1, 1, 2, 3])))
    partial = menu.partial and chance.random() < 0.6
    manners = Manners(
        most_events=chance.randint(1, 4) if partial and chance.random() < 0.6 else 1_000,
        heeds_keys=chance.random() < 0.3,
        poison=partial and chance.random() < 0.6,
        throttles=chance.choice([0, 3, 5]) if partial else 0,
        acks_after=chance.choice([0, 0, 1, 3]),
        forgets=chance.choice([0, 0, 2, 4]),
    )
    remote = machines > 1 or chance.random() < 0.5
    drawer = _Drawer(chance, len(streams), machines, remote, manners, menu)
    return Script(seed, streams, machines, remote, manners, drawer.steps(chance.randint(4, 14)))


def _shape(chance: random.Random, menu: Menu) -> StreamShape:
    lanes = ["http"]
    if menu.lanes and chance.random() < 0.5:
        lanes = chance.sample(["http", "elasticsearch", "splunk_hec"], chance.choice([1, 2, 3]))
    return StreamShape(
        paging=chance.choice(["cursor", "page", "offset", "link"]),
        newest_first=chance.random() < 0.4,
        page_size=chance.randint(1, 8),
        most=chance.randint(1, 10),
        with_ids=chance.random() < 0.7,
        buffer_size=chance.randint(1, 7),
        format=chance.choice(["json", "ndjson", "envelope"]),
        run_pages=chance.choice([1, 2, 10_000]),
        lanes=tuple(lanes),
    )


class _Drawer:
    """Draws the steps of one script."""

    def __init__(
        self, chance: random.Random, streams: int, machines: int, remote: bool, manners: Manners, menu: Menu
    ) -> None:
        self._chance = chance
        self._streams, self._machines, self._manners, self._menu = streams, machines, manners, menu
        self._weights = _OFTEN | {kind: usual * chance.choice([0, 1, 1, 4]) for kind, usual in _SOMETIMES.items()}
        if not remote:  # a disk that holds the registry is no disk to lose
            self._weights[LoseDisk] = 0
        #: How often the vendor, the SIEM, the store, the disk and the machine fail in this script.
        kinds = ("vendor", "siem", "store", "disk", "machine", "between")
        self._shares = {name: chance.choice([0.0, 0.3, 0.7]) for name in kinds}

    def steps(self, count: int) -> tuple[Step, ...]:
        kinds = self._chance.choices(list(self._weights), list(self._weights.values()), k=count)
        return tuple(self._step(kind) for kind in kinds)

    def _step(self, kind: type) -> Step:
        chance = self._chance
        stream, machine = chance.randrange(self._streams), chance.randrange(self._machines)
        if kind is Emit:
            return Emit(
                stream=stream,
                count=chance.randint(1, 12),
                age_s=chance.randint(0, 60),
                hidden_s=chance.choice([0, 0, chance.randint(1, 50)]),
                tied=chance.random() < 0.3,
                poison=self._manners.poison and chance.random() < 0.3,
            )
        if kind is Wait:
            return Wait(chance.randint(1, 50))
        if kind is Poll:
            return Poll(stream, machine, self._trouble())
        if kind is Sweep:
            return Sweep(stream, machine, self._trouble())
        if kind is LoseDisk:
            return LoseDisk(machine)
        return self._edit(stream) if kind is Edit else Rewind(stream, chance.choice([0, 10, 60, 600]))

    def _trouble(self) -> Trouble:
        chance, shares = self._chance, self._shares
        return Trouble(
            vendor=self._faults(VENDOR_STATUSES) if chance.random() < shares["vendor"] / 2 else (),
            siem=self._faults(SIEM_STATUSES) if chance.random() < shares["siem"] else (),
            store=self._store_faults() if chance.random() < shares["store"] else (),
            disk_full=chance.random() < shares["disk"] / 4,
            dies_at=chance.randint(0, 60) if chance.random() < shares["machine"] else None,
            power=chance.random() < 0.5,
            between_at=chance.randint(0, 60) if self._machines > 1 and chance.random() < shares["between"] else None,
            paused=self._machines > 1 and chance.random() < 0.5,
        )

    def _faults(self, statuses: tuple[int, ...]) -> Faults:
        """Some good exchanges, then some bad ones."""
        kinds = [*statuses, *NETWORK_FAULTS]
        bad = tuple(self._chance.choice(kinds) for _ in range(self._chance.randint(1, 3)))
        return (0,) * self._chance.choice([0, 0, 1, 2, 3]) + bad

    def _store_faults(self) -> Faults:
        return tuple(self._chance.choice(STORE_FAULTS) if self._chance.random() < 0.3 else 0 for _ in range(8))

    def _edit(self, stream: int) -> Edit:
        chance = self._chance
        choices = {
            "buffer_size": chance.randint(1, 7),
            "page_size": chance.randint(1, 8),
            "run_pages": chance.choice([1, 2, 10_000]),
            "slice_ms": chance.choice([None, 600_000, 1_800_000]),
        }
        if self._menu.formats:
            choices["format"] = chance.choice(["json", "ndjson", "envelope"])
        key = chance.choice(list(choices))
        return Edit(stream, key, choices[key])
