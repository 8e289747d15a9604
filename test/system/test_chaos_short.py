"""Short versions of the flights of docs/reliability.md: faults in a real graph, and nothing lost, twice or wrong."""

import pytest
from chaos.catalogue import SCENARIOS, Scenario
from chaos.hangar import Hangar


@pytest.fixture(scope="module")
def hangar(tmp_path_factory: pytest.TempPathFactory) -> Hangar:
    return Hangar(tmp_path_factory.mktemp("hangar"))


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.short is not None], ids=lambda scenario: scenario.name)
def test_nothing_is_lost(hangar: Hangar, scenario: Scenario) -> None:
    assert scenario.short is not None
    result = scenario.short(hangar, scenario.name)
    assert result.passed, f"{result}"
