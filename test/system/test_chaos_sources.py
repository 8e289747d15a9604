"""Short flights of sources that are not what they were, and of cameras: nothing lost, twice or wrong."""

import pytest
from chaos.catalogue import Scenario
from chaos.hangar import Hangar
from chaos.short import fly_short, short_flights


@pytest.mark.parametrize("scenario", short_flights("sources"))
def test_nothing_is_lost(hangar: Hangar, scenario: Scenario) -> None:
    result = fly_short(hangar, scenario)
    assert result.passed, f"{result}"
