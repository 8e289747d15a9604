"""A whole number is good where a number is wanted; anything else of another type is refused in one sentence."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter as RosParameter

from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.parameters import NodeParameters, Parameter, parameter, statements
from satllm_ros.nodes.reference import NODES

EVERY = [
    pytest.param(parameter, id=f"{name}.{parameter.name}")
    for name, node in NODES.items()
    for parameter in statements(node.PARAMETERS).values()
]
EXECUTABLES = Path(sys.prefix) / "lib" / "satllm_ros"


def numbers(wanted: type) -> list[Any]:
    return [p for p in EVERY if type(p.values[0].default) is wanted]


def inside(parameter: Parameter) -> int:
    """A whole number that the parameter allows, 1 if it may be."""
    return int(max(1, parameter.low or 0)) if parameter.high is None or parameter.high >= 1 else int(parameter.low or 0)


@pytest.mark.parametrize("parameter", numbers(float))
def test_a_whole_number_is_good_where_a_fraction_is_wanted(parameter: Parameter) -> None:
    taken = parameter.taken(inside(parameter))
    assert taken == inside(parameter) and type(taken) is float


@pytest.mark.parametrize("parameter", numbers(int))
def test_a_whole_number_may_be_written_as_a_fraction(parameter: Parameter) -> None:
    taken = parameter.taken(float(inside(parameter)))
    assert taken == inside(parameter) and type(taken) is int
    with pytest.raises(ValueError, match=rf"parameter {parameter.name} is {inside(parameter)}\.5; allowed is a whole"):
        parameter.taken(inside(parameter) + 0.5)


@pytest.mark.parametrize("parameter", EVERY)
def test_no_parameter_takes_another_type(parameter: Parameter) -> None:
    others: dict[type, list[Any]] = {
        bool: [1, 0.0, "yes", ["true"], None, [True]],
        int: ["three", True, None, [1], float("nan"), float("inf")],
        float: ["fast", "1.0", True, None, [1.0], float("nan"), float("inf")],
        str: [1, 2.5, True, None, ["a"]],
        tuple: ["sat1", 1, True, [1, 2], [True]],
    }
    for value in others[type(parameter.default)]:
        with pytest.raises(ValueError, match=f"^parameter {parameter.name} is ") as raised:
            parameter.taken(value)
        assert "\n" not in str(raised.value) and "allowed is" in str(raised.value)


@pytest.mark.parametrize("parameter", EVERY)
def test_every_default_is_good(parameter: Parameter) -> None:
    assert parameter.taken(parameter.default) == parameter.default


def test_a_name_that_looks_like_a_number_is_told_how_to_be_written() -> None:
    with pytest.raises(
        ValueError, match="parameter path is 2024; allowed is a string; in quotes it is one: \"'2024'\""
    ):
        Parameter("path", "", "A folder").taken(2024)


@dataclass(frozen=True)
class ProbeParameters(NodeParameters):
    rate: float = parameter(0.5, "A number", "-", 0.0, 1e6, read_only=False)
    tiles: int = parameter(3, "A whole number", "-", 1, read_only=False)
    names: tuple[str, ...] = parameter((), "A list", read_only=False)
    flag: bool = parameter(False, "A flag", read_only=False)


class Probe(FlightNode):
    PARAMETERS = ProbeParameters
    parameters: ProbeParameters


@pytest.fixture
def make(context: rclpy.Context) -> Iterator[Any]:
    made: list[Probe] = []

    def make_probe(**parameters: Any) -> Probe:
        given = [RosParameter(name, value=value) for name, value in ({"autostart": False} | parameters).items()]
        made.append(Probe("probe", context=context, parameter_overrides=given))
        return made[-1]

    yield make_probe
    for node in made:
        node.close()
        node.destroy_node()


def put(node: Probe, **values: Any) -> SetParametersResult:
    return node.set_parameters_atomically([RosParameter(name, value=value) for name, value in values.items()])


def test_a_node_starts_with_numbers_as_they_are_written(make: Any) -> None:
    node = make(rate=1, tiles=10.0)
    assert [type(node.parameters.rate), type(node.parameters.tiles)] == [float, int]
    assert (node.parameters.rate, node.parameters.tiles, node.parameters.names) == (1.0, 10, ())
    assert node.get_parameter("rate").type_ is RosParameter.Type.DOUBLE


@pytest.mark.parametrize("given", [{"rate": "1"}, {"tiles": 10.5}, {"names": "sat1"}, {"flag": 1}, {"flag": "yes"}])
def test_a_node_does_not_start_with_another_type(make: Any, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^/probe: parameter {next(iter(given))} is .*; allowed is"):
        make(**given)


def test_numbers_can_be_set_as_they_are_written(make: Any) -> None:
    node = make()
    assert put(node, rate=2, tiles=7.0, names=["a"]).successful
    assert (node.parameters.rate, node.parameters.tiles, node.parameters.names) == (2.0, 7, ("a",))
    assert type(node.parameters.rate) is float and type(node.parameters.tiles) is int


@pytest.mark.parametrize(
    "values",
    [{"rate": "fast"}, {"rate": -1}, {"rate": 10**7}, {"tiles": 7.5}, {"tiles": 0.0}, {"names": "a"}, {"flag": "no"},
     {"rate": None}, {"flag": None}, {"names": None}, {"tiles": 2**53 + 1}],
)  # fmt: skip
def test_what_is_refused_at_the_start_is_refused_later(make: Any, values: dict[str, Any]) -> None:
    node = make(rate=1)
    result = put(node, **values)
    assert not result.successful and f"arameter {next(iter(values))} " in result.reason
    assert (node.parameters.rate, node.parameters.tiles, node.parameters.flag) == (1.0, 3, False)


def test_a_misspelt_parameter_is_warned_of_with_the_nearest_known_one(make: Any, capfd: Any) -> None:
    make(raet=1, satelites=["sat1"], use_sim_time=False, threads=3)
    told = capfd.readouterr().err
    assert "parameter raet is not known, and does nothing; did you mean rate?" in told
    assert "parameter satelites is not known, and does nothing; did you mean satellites?" in told
    # A file for `/**` gives every node the parameters of all.
    assert "threads" not in told and "use_sim_time" not in told


def refused(executable: str, *words: str) -> str:
    """The one line with which a process refuses to start."""
    ended = subprocess.run(
        [EXECUTABLES / executable, "--ros-args", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    ("executable", "given", "said"),
    [
        ("sensing", "rate:=fast", "/sensing: parameter rate is 'fast'; allowed is a number, 0 to 1e+06"),
        ("sensing", "batch_tiles:=10.5", "/sensing: parameter batch_tiles is 10.5; allowed is a whole number, 1 to"),
        ("sensing", "path:=2024", "/sensing: parameter path is 2024; allowed is a string; in quotes it is one"),
        ("links", "isl_rate_bps:=quick", "parameter isl_rate_bps is 'quick'; allowed is a number"),
        ("planner", "satellites:=sat1", "/planner: parameter satellites is 'sat1'; allowed is strings"),
        ("ground", "exit_when_done:=1", "parameter exit_when_done is 1; allowed is true or false"),
        ("satellite", "threads:=two", "parameter threads is 'two'; allowed is a whole number"),
    ],
)
def test_a_process_refuses_another_type_in_one_sentence(executable: str, given: str, said: str, domain: int) -> None:
    assert said in refused(executable, "-p", given)


def test_a_whole_number_in_a_file_for_all_nodes_is_good(tmp_path: Path, domain: int) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    rate: 1\n    batch_tiles: 10.0\n    satellites: [sat1]\n    source: no\n"
    )
    # The last one is what ends it: the others are taken.
    assert "parameter source is " in refused("sensing", "--params-file", str(file))


def test_a_deleted_list_is_refused_and_what_comes_after_is_taken(make: Any) -> None:
    node = make(names=["a"])
    result = put(node, names=None)
    assert not result.successful and result.reason == "parameter names cannot be deleted; allowed is strings"
    assert put(node, rate=2.0).successful and node.parameters == ProbeParameters(False, 2.0, 3, ("a",))


@pytest.mark.parametrize("given", [{"tiles": 10**17}, {"rate": 1e7}])
def test_a_number_too_large_does_not_start(make: Any, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^/probe: parameter {next(iter(given))} is .*; allowed is a"):
        make(**given)
