"""The short flights in groups, each with a file of tests, since a file stays in one worker."""

from collections.abc import Callable
from typing import Any

from chaos import absences, cameras, forged, kills, links, replans, sources
from chaos.catalogue import SCENARIOS, Scenario
from chaos.hangar import Hangar
from chaos.judge import Result

GROUPS = {
    "absences": {kills, absences},
    "changes": {replans, links, forged},
    "sources": {sources, cameras},
}


def short_flights(group: str) -> list[Scenario]:
    """Scenarios with a short flight whose code is in one of a group's modules."""
    modules = {module.__name__ for module in GROUPS[group]}
    return [s for s in SCENARIOS if s.short is not None and _code(s.short).__module__ in modules]


def fly_short(hangar: Hangar, scenario: Scenario) -> Result:
    """Fly the short form of a scenario that has one."""
    assert scenario.short is not None
    return scenario.short(hangar, scenario.name)


def _code(flight: Callable[..., Any]) -> Callable[..., Any]:
    return getattr(flight, "func", flight)
