import ast
import re
from pathlib import Path

import pytest

from satllm_ros import interfaces
from satllm_ros.interfaces import MAX_CREDITS, TOPICS, Qos, Topic

NODES = Path(__file__).resolve().parents[1] / "satllm_ros" / "nodes"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_names_are_relative_and_valid_with_the_node_filled_in(topic: Topic) -> None:
    name = topic.of("sat1")
    if topic is interfaces.CLOCK:
        # Where every node under simulated time listens, whatever its namespace.
        assert topic.under("/fleet") == "/clock"
        return
    assert topic.under("/fleet", "sat1") == f"/fleet/{name}"
    assert re.fullmatch(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*", name)
    assert ("sat1" in name) == ("{node}" in topic.name)
    assert re.fullmatch(r"(satllm_ros|sensor_msgs)/msg/[A-Z]\w+", topic.type)


def test_no_two_topics_share_a_name() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)


def test_batches_in_flight_fit_the_history_of_every_topic_that_carries_them() -> None:
    carriers = [topic for topic in TOPICS if "box/" in topic.name or topic.name.startswith("{node}/activation/")]
    assert len(carriers) == 8
    for topic in carriers:
        assert topic.qos is Qos.DATA
    assert Qos.DATA.value.reliable and not Qos.DATA.value.latched
    assert Qos.DATA.value.depth >= MAX_CREDITS


def test_what_a_late_joiner_needs_is_latched() -> None:
    for topic in (interfaces.PLAN_PROPOSED, interfaces.PLAN_ACTIVE, interfaces.LEDGER, interfaces.STATUS):
        assert topic.qos.value.latched and topic.qos.value.reliable


def test_nodes_name_no_topic_of_their_own() -> None:
    """A topic's name, type and quality have one home: nodes make publishers and subscriptions through it."""
    allowed = {"qos.py", "flight_node.py"}
    for file in NODES.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        made = {c.func.attr for c in calls if isinstance(c.func, ast.Attribute)}
        assert file.name in allowed or not made & {"create_publisher", "create_subscription"}, file.name


def test_every_topic_is_in_the_list() -> None:
    assert set(TOPICS) == {value for value in vars(interfaces).values() if isinstance(value, Topic)}
