"""The short flights in groups, each with a file of tests, since a file stays in one worker."""

from collections.abc import Callable
from typing import Any

import pytest
from chaos import absences, cameras, forged, kills, links, replans, sources
from chaos.catalogue import SCENARIOS, Scenario
from chaos.hangar import Hangar
from chaos.judge import Result

GROUPS = {
    "absences": {kills, absences},
    "changes": {replans, links, forged},
    "sources": {sources, cameras},
}


def short_flights(group: str) -> list[Any]:
    """Scenarios with a short flight whose code is in one of a group's modules, as parameters of a test."""
    modules = {module.__name__ for module in GROUPS[group]}
    found = [s for s in SCENARIOS if s.short is not None and _code(s.short).__module__ in modules]
    return [pytest.param(s, id=s.name, marks=[pytest.mark.slow] if s.is_for_all else []) for s in found]


def fly_short(hangar: Hangar, scenario: Scenario) -> Result:
    """Fly the short form of a scenario that has one."""
    assert scenario.short is not None
    return scenario.short(hangar, scenario.name)


def _code(flight: Callable[..., Any]) -> Callable[..., Any]:
    return getattr(flight, "func", flight)
