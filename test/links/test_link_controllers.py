"""Links with a flow controller, written into a parameter and read again."""

import pytest

from satllm_ros.links.link_controllers import parsed_controllers, written_controllers
from satllm_ros.links.link_queue import LinkRates


def test_what_is_written_is_read() -> None:
    links = {"sat1": LinkRates(2e6, 0.005), "ground": LinkRates(9600.0)}
    assert parsed_controllers(written_controllers(links)) == links


@pytest.mark.parametrize(
    "text", ["", "sat1", "sat1=", "sat1=2e6", "=2e6,0", "sat1=0,0", "sat1=2e6,-1", "sat1=nan,0", "sat1=1,2,3"]
)
def test_what_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="link_controllers has .*allowed is a name, =, a rate above 0 bit/s"):
        parsed_controllers([text])
