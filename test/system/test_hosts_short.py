"""Short versions of the flights between hosts of their own: a network stack, address and clock for every process."""

import pytest
from hosts.catalogue import SCENARIOS
from hosts.hangar import Hangar
from hosts.namespaces import why_not
from hosts.scenario import Scenario

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"no hosts of their own: {REASON}")


@pytest.fixture(scope="module")
def hangar(tmp_path_factory: pytest.TempPathFactory) -> Hangar:
    return Hangar(tmp_path_factory.mktemp("hosts"))


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.short is not None], ids=lambda scenario: scenario.name)
def test_nothing_is_lost_between_hosts(hangar: Hangar, scenario: Scenario) -> None:
    result = hangar.fly(scenario, is_short=True)
    assert result.passed, f"{result}"
