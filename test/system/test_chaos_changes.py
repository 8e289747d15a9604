"""Short flights through changes of plan, links that fail and forged plans: nothing lost, twice or wrong."""

import pytest
from chaos.catalogue import Scenario
from chaos.hangar import Hangar
from chaos.short import fly_short, short_flights


@pytest.mark.parametrize("scenario", short_flights("changes"))
def test_nothing_is_lost(hangar: Hangar, scenario: Scenario) -> None:
    result = fly_short(hangar, scenario)
    assert result.passed, f"{result}"
