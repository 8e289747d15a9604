"""The graph's description against the nodes it configures, and against rcl, which reads its parameter files."""

from pathlib import Path
from typing import Any, get_origin, get_type_hints

import pytest
import rclpy
from rclpy.node import Node
from ros_domain import leave

from satllm_ros.constellation.file import load_constellation
from satllm_ros.constellation.processes import ProcessSpec, processes
from satllm_ros.interfaces import TOPICS, Topic
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.parameters import statements
from satllm_ros.nodes.base.qos import message_class
from satllm_ros.nodes.compression import CompressionNode
from satllm_ros.nodes.downlink import DownlinkNode
from satllm_ros.nodes.ground import GroundNode
from satllm_ros.nodes.links import LinkNode
from satllm_ros.nodes.planner import PlannerNode
from satllm_ros.nodes.recorder import RecorderNode
from satllm_ros.nodes.sensing import SensingNode
from satllm_ros.nodes.stage import StageNode

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "constellation.yaml"
NODES: dict[str, type[FlightNode]] = {
    "stage": StageNode,
    "compression": CompressionNode,
    "downlink": DownlinkNode,
    "link": LinkNode,
    "planner": PlannerNode,
    "ground": GroundNode,
    "recorder": RecorderNode,
    "sensing": SensingNode,
}


def parameters_of(specs: list[ProcessSpec]) -> dict[str, dict[str, Any]]:
    """By node name; one satellite stands for all."""
    return {node.split("/")[-1]: dict(values) for spec in specs for node, values in spec.parameters.items()}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, dict[str, Any]]:
    return parameters_of(processes(load_constellation(SHIPPED), tmp_path, exit_when_done=True))


def test_the_graph_configures_every_node_there_is(given: dict[str, dict[str, Any]]) -> None:
    assert set(given) == set(NODES)


@pytest.mark.parametrize("name", NODES)
def test_every_parameter_the_graph_sets_is_one_the_node_takes(given: dict[str, dict[str, Any]], name: str) -> None:
    table = statements(NODES[name].PARAMETERS)
    for key, value in given[name].items():
        assert key in table, f"{name} has no parameter {key}"
        own = tuple(value) if isinstance(value, list) else value
        assert type(own) is type(table[key].default), f"{name}.{key} is {value!r}"
        assert table[key].taken(value) == own


@pytest.mark.parametrize("name", NODES)
def test_defaults_are_acceptable_and_described(name: str) -> None:
    for parameter in statements(NODES[name].PARAMETERS).values():
        assert parameter.taken(parameter.default) == parameter.default, parameter.name
        assert parameter.description


@pytest.mark.parametrize("name", NODES)
def test_a_struct_s_types_are_those_of_its_parameters(name: str) -> None:
    struct = NODES[name].PARAMETERS
    types = get_type_hints(struct)
    for parameter in statements(struct).values():
        assert (get_origin(types[parameter.name]) or types[parameter.name]) is type(parameter.default), parameter.name
    assert get_type_hints(NODES[name])["parameters"] is struct


ODD = {
    "plain": "demo",
    "number": "1e5",
    "hexadecimal": "0x10",
    "infinite": ".inf",
    "bare infinite": "inf",
    "yes": "yes",
    "Y": "Y",
    "null": "~",
    "empty": "",
    "spaced": " two  words ",
    "long": "/data/" + "a very long folder name with words in it/" * 6,
    "punctuated": "a: b, {c} #d & *e 'f' \"g\" \\h",
    "accented": "/données/été",
    "alone": "&a",
    "list": ["1", "yes", "sat1"],
    "flag": True,
    "whole": 8_000_000_000,
    "real": 1e15,
    "small": 1e-05,
    "round": 5.0,
}


def test_rcl_reads_parameter_files_as_meant(tmp_path: Path) -> None:
    values = {key.replace(" ", "_"): value for key, value in ODD.items()}
    spec = ProcessSpec("sat1", "satellite", "sat1", {"sat1/stage": values, "sat1/downlink": {"plain": "other"}})
    path = spec.write_parameters(tmp_path, "/fleet")
    context = rclpy.Context()
    rclpy.init(context=context, args=["--ros-args", "--params-file", str(path)])
    try:
        node = Node(
            "stage",
            namespace="/fleet/sat1",
            context=context,
            allow_undeclared_parameters=True,
            automatically_declare_parameters_from_overrides=True,
        )
        read = {key: node.get_parameter(key).value for key in values}
        node.destroy_node()
    finally:
        leave(context)
    assert read == values
    assert {key: type(value) for key, value in read.items()} == {key: type(value) for key, value in values.items()}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_has_a_message_type_that_exists(topic: Topic) -> None:
    assert message_class(topic.type).__name__ == topic.type.split("/")[-1]
