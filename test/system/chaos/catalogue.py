"""Every scenario: its long flight for the table, and, for most, a short one of seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from chaos import absences, cameras, external, forged, kills, links, replans, sources
from chaos.hangar import Hangar
from chaos.judge import Result

Fly = Callable[[Hangar, str], Result]


@dataclass(frozen=True)
class Scenario:
    """A row of the table, flown by `long`; `short` waits for events only. One of them may be missing.

    A short flight that would take too much of the time of `make test` `is_for_all`: `make test-all` flies it.
    """

    name: str
    long: Fly | None
    short: Fly | None = None
    is_for_all: bool = False


def _killed(name: str) -> Scenario:
    return Scenario(
        f"kill -9 {name}, started again",
        partial(kills.killed_and_respawned, tiles=600, names=(name,), timed=True),
    )


def _without(name: str, place: str) -> Scenario:
    short = partial(kills.killed_satellite, tiles=160, name=name) if name == "sat2" else None
    return Scenario(
        f"kill -9 {name} ({place}) for good", partial(kills.killed_satellite, tiles=400, name=name, timed=True), short
    )


def _ending(name: str) -> Scenario:
    return Scenario(f"kill -9 {name} for good", partial(kills.killed_for_good, tiles=400, name=name))


def _outages(kind: str, short: bool = False) -> Scenario:
    long = partial(links.outages, tiles=2000, kind=kind, outages_s=(1.0, 10.0, 60.0))
    brief = partial(links.outages, tiles=100, kind=kind, outages_s=(0.0,))
    return Scenario(f"link outages of 1, 10 and 60 s: {kind}", long, brief if short else None, is_for_all=True)


def _lossy(percent: int, tiles: int, short: bool = False) -> Scenario:
    # Room for those that are overtaken: with few in flight, all may be lost at once.
    flight = partial(links.lossy, tiles=tiles, share=percent / 100, window_batches=16)
    brief = partial(links.lossy, tiles=80, share=percent / 100, window_batches=6)
    return Scenario(
        f"{percent} % lost, doubled and overtaken",
        flight,
        brief if short else None,
    )


def _external(fault: str, what: str) -> Scenario:
    return Scenario(f"an external stage {what}", partial(external.external, tiles=600, fault=fault))


SCENARIOS = (
    Scenario(
        "20 changes of plan",
        partial(replans.replans, tiles=2000, changes=20),
        partial(replans.replans, tiles=400, changes=4),
        is_for_all=True,
    ),
    Scenario("20 changes of codec and plan", partial(replans.codecs, tiles=2000, changes=20)),
    *(_killed(name) for name in ("sat1", "sat2", "sat3", "sat4", "sensing", "planner", "link", "ground")),
    Scenario(
        "kill -9 planner, ground and sensing in turn",
        None,
        partial(kills.killed_and_respawned, tiles=400, names=("planner", "ground", "sensing")),
    ),
    _without("sat1", "first"),
    _without("sat2", "middle"),
    _without("sat3", "third"),
    _without("sat4", "last, downlink"),
    *(_ending(name) for name in ("sensing", "link", "ground")),
    Scenario(
        "no memory for the blocks of a dead satellite",
        partial(kills.too_little_memory, tiles=400),
        partial(kills.too_little_memory, tiles=100),
        is_for_all=True,
    ),
    Scenario("sat2 stopped for 3 s", partial(absences.stopped_briefly, tiles=400, name="sat2", stop_s=3.0)),
    Scenario(
        "sat2 stopped for 30 s",
        partial(absences.stopped_for_long, tiles=2000, name="sat2", stop_s=30.0, timed=True),
        # Long enough that its return pays, also where loading blocks takes 15 s.
        partial(absences.stopped_for_long, tiles=600, name="sat2", block_s=0.05),
        is_for_all=True,
    ),
    Scenario("planner dead for 60 s", partial(absences.without_planner, tiles=4000, batches=250, away_s=60.0)),
    _outages("upload"),
    _outages("isl", short=True),
    _outages("s2g"),
    _lossy(1, 2000, short=True),
    _lossy(5, 1000),
    _lossy(20, 200),
    Scenario(
        "a satellite four times slower",
        partial(absences.slowed, tiles=1500, batches=300, timed=True),
        partial(absences.slowed, tiles=400, batches=10, timed=False),
        is_for_all=True,
    ),
    _external("killed", "that is killed"),
    _external("slow", "that is slow"),
    _external("silent", "that is silent"),
    _external("shape", "of a wrong shape"),
    Scenario(
        "1,000 malformed plans",
        partial(forged.bad_plans, tiles=600, plans=1000, block_s=0.1),
    ),
    Scenario(
        "10,000 forged and replayed plans",
        partial(forged.forged_plans, tiles=1000, plans=10_000, block_s=0.25),
        partial(forged.forged_plans, tiles=300, plans=60, block_s=0.03),
        is_for_all=True,
    ),
    Scenario(
        "kill -9 sensing, live camera",
        partial(cameras.killed_with_a_camera, images=60, durable=False),
        partial(cameras.killed_with_a_camera, images=24, durable=False),
        is_for_all=True,
    ),
    Scenario(
        "kill -9 sensing, live camera, durable custody",
        partial(cameras.killed_with_a_camera, images=10, durable=True),
        partial(cameras.killed_with_a_camera, images=10, durable=True),
    ),
    Scenario(
        "a camera whose stamp stands still",
        partial(cameras.one_stamp, images=200, stamp_ns=36_858_272_000),
        partial(cameras.one_stamp, images=12, stamp_ns=36_858_272_000),
        is_for_all=True,
    ),
    Scenario(
        "the same run folder with another model",
        partial(sources.another_model, tiles=200),
        partial(sources.another_model, tiles=8),
        is_for_all=True,
    ),
    Scenario(
        "a folder that grows, sensing killed",
        partial(sources.growing, tiles=400),
        partial(sources.growing, tiles=60),
    ),
    Scenario(
        "files that changed between two lives of sensing",
        partial(sources.changed, tiles=400),
        partial(sources.changed, tiles=60),
        is_for_all=True,
    ),
    Scenario(
        "an unreadable file in the middle",
        partial(sources.unreadable, tiles=400),
        partial(sources.unreadable, tiles=60),
        is_for_all=True,
    ),
)
