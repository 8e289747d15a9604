"""Short flights of a real graph whose processes are killed, stopped or slowed: nothing lost, twice or wrong."""

import pytest
from chaos.catalogue import SCENARIOS, Scenario
from chaos.hangar import Hangar
from chaos.short import GROUPS, fly_short, short_flights


@pytest.mark.parametrize("scenario", short_flights("absences"))
def test_nothing_is_lost(hangar: Hangar, scenario: Scenario) -> None:
    result = fly_short(hangar, scenario)
    assert result.passed, f"{result}"


def test_every_short_flight_is_in_one_group() -> None:
    grouped = [flight.id for group in GROUPS for flight in short_flights(group)]
    assert sorted(grouped) == sorted(scenario.name for scenario in SCENARIOS if scenario.short is not None)
