"""Every counter has a meaning, and is in /diagnostics before it counts."""

import re
from pathlib import Path

import pytest

import satllm_ros
from satllm_ros.nodes.base.diagnostic_keys import BAD_PLAN, COMMON, PLAN_FORGED, Keys
from satllm_ros.nodes.base.shared_parameters import PlanParameters
from satllm_ros.nodes.reference import NODES

SOURCES = Path(satllm_ros.__file__).parent
# Where counts that reach /diagnostics are made: by a literal name, or one that begins with a literal.
COUNTED = re.compile(
    r'(?:counters\.add|causes|counts|complain|ignore|_note|lose|drop)[(\[]\s*(?:[a-z_.]+, )*(f?)"([a-z_]+)'
)
FILES = [
    *(SOURCES / "nodes").rglob("*.py"),
    *(
        SOURCES / f"{name}.py"
        for name in (
            *("protocol/custody", "protocol/delivery", "protocol/hop", "protocol/pacing"),
            *("protocol/membership/presence", "links/link_faults"),
        )
    ),
]


def test_counters_that_the_sources_name_have_a_meaning() -> None:
    known = set(COMMON).union(*(node.KEYS.counters for node in NODES.values()))
    found = {(prefixed, name) for file in FILES for prefixed, name in COUNTED.findall(file.read_text())}
    assert len(found) > 40
    for prefixed, name in found:
        of_hop = f"hop_{name}"
        is_known = any(key.startswith(name) for key in known) if prefixed else name in known or of_hop in known
        assert is_known, f"{name} is counted, and not in diagnostic_keys.py"


def test_who_judges_plans_counts_what_is_wrong_with_them() -> None:
    judges = [node for node in NODES.values() if issubclass(node.PARAMETERS, PlanParameters)]
    assert len(judges) == 4
    for node in judges:
        assert {BAD_PLAN, PLAN_FORGED} <= node.KEYS.counters.keys(), node


@pytest.mark.parametrize("name", NODES)
def test_no_key_is_a_counter_and_a_value(name: str) -> None:
    keys = NODES[name].KEYS
    assert not keys.counters.keys() & keys.values.keys() and not keys.counters.keys() & COMMON.keys()


def test_what_is_unknown_is_empty_and_what_has_not_happened_is_0() -> None:
    keys = Keys({"lost": "", "sent": ""}, {"alive": "", "active": ""})
    assert keys.filled({"sent": 2, "new": 1}, {"alive": "sat1", "lost": 3}) == {
        "alive": "sat1",
        "active": "",
        "lost": "3",
        "sent": "2",
        "new": "1",
    }
