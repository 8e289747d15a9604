"""Every scenario of `make hosts`, and the short ones of `make test`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hosts.scenario import MBIT, Discovery, End, Memory, Outage, Plan, Return, Scenario, Shape, both_ways

# Half a megabyte a batch, as in the flights that showed what is broken.
_HALF_A_MEGABYTE = 10
_FAST = both_ways(500)
# Of all blocks for a batch, beside the usual 0.3 s: where lines are no limit, two cores that carry five network stacks
# are, at six batches a second.
_SLOW_S = 1.0


_GROUND_SENDS_LITTLE = Plan(
    50, _HALF_A_MEGABYTE, both_ways(100), {"ground": Shape(1 * MBIT, 100 * MBIT)}, is_steady=True
)

# Each hop passes two lines. A batch is on its way for seconds, through all hops: the window holds as many as leave
# meanwhile.
_LONG_AND_LOSSY = Plan(300, _HALF_A_MEGABYTE, both_ways(20, delay_s=0.15, loss=0.01), window=60, is_steady=True)


def _steady_plan(mbit: float, **more: Any) -> Plan:
    return Plan(50, _HALF_A_MEGABYTE, both_ways(mbit), is_steady=True, patience_s=900.0, **more)


def _steady(mbit: float, minutes: float, short: Plan | None = None) -> Scenario:
    return Scenario(f"{mbit:g} Mbit/s", _steady_plan(mbit), short, minutes)


def _outage(host: str, where: str, how: End, seconds: float, short: Plan | None = None) -> Scenario:
    # Batches of 50 KB, ten a second at most, for half a minute more than the outage, that are flown around it.
    batches = int(10 * (seconds + 30))
    memory = Memory.TWO if host.startswith("sat") else Memory.THREE
    line = both_ways(20)
    fault = Outage(host, how, seconds)
    long = Plan(batches, 1, line, memory=memory, faults=(fault,), patience_s=seconds + 200.0)
    name = f"{where} cut off for {seconds:g} s: {how.value}"
    return Scenario(name, long, short, (seconds + 90) / 60, is_long_running=seconds >= 300)


def _brief_outage(host: str, how: End, seconds: float) -> Plan:
    return Plan(
        40, 2, both_ways(20), satellites=2, memory=Memory.TWO, faults=(Outage(host, how, seconds, 2),), patience_s=120.0
    )


_OUTAGES = (
    *(
        _outage(host, where, End.FRAMES_DROPPED, seconds)
        for host, where in (("sat2", "a satellite"), ("sensing", "sensing"))
        for seconds in (10.0, 20.0, 45.0, 300.0)
    ),
    _outage("ground", "the ground", End.FRAMES_DROPPED, 10.0),
    _outage("ground", "the ground", End.FRAMES_DROPPED, 20.0),
    # Longer than the middleware remembers who is there, which is 20 s.
    _outage("ground", "the ground", End.FRAMES_DROPPED, 45.0, _brief_outage("ground", End.FRAMES_DROPPED, 25.0)),
    _outage("ground", "the ground", End.FRAMES_DROPPED, 300.0),
    _outage("ground", "the ground", End.CARRIER_LOST, 45.0),
    _outage("ground", "the ground", End.NOTHING_IN, 45.0),
    _outage("ground", "the ground", End.NOTHING_OUT, 45.0),
    _outage("sat2", "a satellite", End.CARRIER_LOST, 45.0),
    _outage("sat2", "a satellite", End.NOTHING_OUT, 45.0),
)

SCENARIOS = (
    _steady(500, 1, Plan(6, 4, _FAST, satellites=2, memory=Memory.TWO, patience_s=120.0)),
    _steady(20, 1),
    _steady(8, 1.5),
    _steady(2, 4),
    Scenario(
        "8 Mbit/s, klt:16",
        Plan(50, _HALF_A_MEGABYTE, both_ways(8), codec="klt:16", is_steady=True),
        minutes=1.5,
    ),
    Scenario(
        "the ground's line 1 Mbit/s up, 100 down",
        _GROUND_SENDS_LITTLE,
    ),
    Scenario("500 Mbit/s, 1 s a batch", _steady_plan(500, compute_s=_SLOW_S)),
    Scenario("the ground's line 1 Mbit/s up, 100 down, 1 s a batch", replace(_GROUND_SENDS_LITTLE, compute_s=_SLOW_S)),
    *_OUTAGES,
    Scenario(
        "2 % of the frames lost, 300 ms of delay",
        # Each hop passes two lines.
        _LONG_AND_LOSSY,
        minutes=5,
    ),
    Scenario(
        "a satellite returns with another address",
        Plan(400, 1, both_ways(20), memory=Memory.THREE, faults=(Return("sat2", 5.0),)),
        minutes=2,
    ),
    Scenario(
        "the ground returns with another address",
        Plan(400, 1, both_ways(20), memory=Memory.THREE, faults=(Return("ground", 5.0),)),
        minutes=2,
    ),
    Scenario(
        "two constellations on one network",
        Plan(50, _HALF_A_MEGABYTE, both_ways(20), satellites=2, memory=Memory.TWO, constellations=2),
        minutes=2,
    ),
    *(
        Scenario(
            f"found by {discovery.value}, no multicast",
            Plan(20, _HALF_A_MEGABYTE, both_ways(20), satellites=2, memory=Memory.TWO, discovery=discovery),
            minutes=1.5,
        )
        for discovery in (Discovery.PEERS, Discovery.SERVER)
    ),
    Scenario(
        # Each takes 40 s a hop, ten times as long as a satellite that says nothing lives.
        "batches of 10 MB at 2 Mbit/s",
        Plan(6, 200, both_ways(2), is_steady=True, patience_s=1800.0),
        Plan(2, 200, both_ways(2), satellites=2, memory=Memory.TWO, is_steady=True, patience_s=600.0),
        minutes=10,
        is_long_running=True,
    ),
)
