"""What every node of the graph shares: lifecycle, parameters from a table, counters, diagnostics."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from satllm_ros import interfaces as graph
from satllm_ros.nodes.base.diagnostic_keys import COMMON
from satllm_ros.nodes.base.flight_node import FlightNode, NotReadyError
from satllm_ros.nodes.base.parameters import NodeParameters, parameter

SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS,
    TransitionCallbackReturn.FAILURE,
    TransitionCallbackReturn.ERROR,
)
SPINS = 200


@dataclass(frozen=True)
class ProbeParameters(NodeParameters):
    fixed: str = parameter("start", "Never changes")
    names: tuple[str, ...] = parameter((), "A list")
    mode: str = parameter("slow", "One of two", choices=("slow", "fast"), read_only=False)
    share: float = parameter(0.5, "A number in a range", "-", 0.0, 1.0, read_only=False)
    count: int = parameter(3, "A whole number", "-", 1, read_only=False)

    def complaint(self) -> str | None:
        return "fast needs a share" if self.mode == "fast" and self.share == 0.0 else None


class Probe(FlightNode):
    """Notes what is called, and raises what it is given to raise."""

    PARAMETERS = ProbeParameters
    parameters: ProbeParameters

    def __init__(self, **kwargs: Any) -> None:
        self.calls: list[str] = []
        self.most = 5
        self.raising: dict[str, list[Exception]] = {}
        self.changed: list[set[str]] = []
        super().__init__("probe", **kwargs)

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if self.raising.get(name):
            raise self.raising[name].pop(0)

    def configure(self) -> None:
        self._note("configure")

    def activate(self) -> None:
        self.publish_on(graph.BATCH_ACK)
        self.listen_to(graph.LEDGER, lambda _: None)
        self._note("activate")

    def deactivate(self) -> None:
        self._note("deactivate")

    def cleanup(self) -> None:
        self._note("cleanup")

    def parameter_complaint(self, candidate: ProbeParameters, names: set[str]) -> str | None:
        return "not so many now" if "count" in names and candidate.count > self.most else None

    def parameters_changed(self, names: set[str]) -> None:
        self.changed.append(names)


@pytest.fixture
def make(context: rclpy.Context) -> Iterator[Callable[..., Probe]]:
    made: list[Probe] = []

    def make_probe(namespace: str = "", depth_below_root: int = 0, **parameters: Any) -> Probe:
        overrides = [RosParameter(name, value=value) for name, value in ({"autostart": False} | parameters).items()]
        node = Probe(
            context=context, namespace=namespace, depth_below_root=depth_below_root, parameter_overrides=overrides
        )
        made.append(node)
        return node

    yield make_probe
    for node in made:
        node.close()
        node.destroy_node()


def spin(node: Node, until: Callable[[], Any]) -> None:
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    for _ in range(SPINS):
        if until():
            break
        executor.spin_once(timeout_sec=0.1)
    else:
        raise AssertionError("waited in vain")
    executor.remove_node(node)
    executor.shutdown()


def endpoints(node: Probe) -> tuple[int, int]:
    """Publishers and subscriptions that the node has on the graph's topics."""
    return node.count_publishers("/batch_ack"), node.count_subscribers("/ledger")


def put(node: Probe, **values: Any) -> SetParametersResult:
    return node.set_parameters_atomically([RosParameter(name, value=value) for name, value in values.items()])


def test_it_goes_round_the_lifecycle_any_number_of_times(make: Callable[..., Probe]) -> None:
    node = make()
    for _ in range(2):
        assert node.state == "unconfigured" and endpoints(node) == (0, 0)
        assert node.trigger_configure() is SUCCESS and node.state == "inactive"
        for _ in range(2):
            assert node.trigger_activate() is SUCCESS and node.state == "active"
            assert endpoints(node) == (1, 1)
            assert node.trigger_deactivate() is SUCCESS and node.state == "inactive"
            assert endpoints(node) == (0, 0)
        assert node.trigger_cleanup() is SUCCESS
    assert node.calls == 2 * ["configure", *2 * ["activate", "deactivate"], "cleanup"]


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError])
def test_configure_that_fails_is_counted_and_can_be_tried_again(
    make: Callable[..., Probe], error: type[Exception]
) -> None:
    node = make()
    node.raising["configure"] = [error("no such file")]
    assert node.trigger_configure() is FAILURE
    assert node.state == "unconfigured" and node.counters["configure_failed"] == 1
    assert node.trigger_configure() is SUCCESS and node.state == "inactive"


def test_activate_that_is_not_ready_leaves_nothing_open(make: Callable[..., Probe]) -> None:
    node = make()
    node.trigger_configure()
    node.raising["activate"] = [NotReadyError("still loading"), NotReadyError("still loading")]
    for _ in range(2):
        assert node.trigger_activate() is FAILURE
        assert node.state == "inactive" and endpoints(node) == (0, 0)
    assert node.counters["activate_failed"] == 0
    assert node.trigger_activate() is SUCCESS


def test_unexpected_error_leads_back_to_unconfigured(make: Callable[..., Probe]) -> None:
    node = make()
    node.trigger_configure()
    node.raising["activate"] = [RuntimeError("bug")]
    assert node.trigger_activate() is not SUCCESS
    assert node.state == "unconfigured" and node.calls[-1] == "cleanup" and endpoints(node) == (0, 0)
    assert node.trigger_configure() is SUCCESS and node.trigger_activate() is SUCCESS


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_close_undoes_whatever_was_done(make: Callable[..., Probe], steps: int) -> None:
    node = make()
    for step in (node.trigger_configure, node.trigger_activate)[:steps]:
        step()
    node.close()
    node.close()
    undone = ["deactivate", "cleanup"][2 - steps :]
    assert node.calls == ["configure", "activate"][:steps] + undone
    assert endpoints(node) == (0, 0)


def test_autostart_waits_until_it_is_ready(make: Callable[..., Probe]) -> None:
    node = make(autostart=True)
    node.raising["activate"] = [NotReadyError("still loading")] * 3
    spin(node, lambda: node.state == "active")
    assert node.calls == ["configure", *["activate"] * 4] and not node.failed_to_start


def test_autostart_gives_up_when_waiting_does_not_help(make: Callable[..., Probe]) -> None:
    node = make(autostart=True)
    node.raising["configure"] = [ValueError("no such file")]
    spin(node, lambda: node.failed_to_start)
    assert node.calls == ["configure"] and node.state == "unconfigured"


def test_diagnostics_say_why_it_waits_and_carry_counters(make: Callable[..., Probe], context: rclpy.Context) -> None:
    node = make(namespace="/fleet")
    heard: list[DiagnosticStatus] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", lambda a: heard.extend(a.status), 10)
    node.counters.add("lost", 3)
    node.trigger_configure()
    node.raising["activate"] = [NotReadyError("still loading")]
    node.trigger_activate()
    spin(node, lambda: heard)
    assert heard[0].name == "/fleet/probe"
    assert heard[0].level == DiagnosticStatus.WARN and heard[0].message == "inactive: still loading"
    assert {v.key: v.value for v in heard[0].values} == {**dict.fromkeys(COMMON, "0"), "lost": "3"}
    node.trigger_activate()
    heard.clear()
    spin(node, lambda: heard)
    assert heard[0].level == DiagnosticStatus.OK and heard[0].message == "active"


def test_of_what_comes_within_a_second_the_first_is_logged_and_all_is_counted(
    make: Callable[..., Probe], capfd: pytest.CaptureFixture[str]
) -> None:
    node = make()
    node.complain("full", "the first error")
    node.complain("corrupted", "another error")
    node.ignore("malformed", "the first warning")
    node.ignore("forged", "another warning")
    node.warn("a third warning")
    logged = capfd.readouterr().err
    assert "the first error" in logged and "the first warning" in logged
    assert "another" not in logged and "third" not in logged
    assert [node.counters[cause] for cause in ("full", "corrupted", "malformed", "forged")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("namespace", "depth", "root"),
    [("", 0, ""), ("/fleet/a", 0, "/fleet/a"), ("/sat1", 1, ""), ("/fleet/a/sat1", 1, "/fleet/a")],
)
def test_root_is_the_namespace_of_the_whole_graph(
    make: Callable[..., Probe], namespace: str, depth: int, root: str
) -> None:
    node = make(namespace=namespace, depth_below_root=depth)
    assert node.root == root
    assert node.publish_on(graph.STATUS, "sat2").topic_name == f"{root}/sat2/status"


def test_values_come_from_overrides_and_defaults(make: Callable[..., Probe]) -> None:
    node = make(names=["sat1"], share=0.25)
    assert (node.parameters.names, node.parameters.share, node.parameters.fixed) == (("sat1",), 0.25, "start")
    assert make().parameters.names == ()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"mode": "furious"}, "'slow', 'fast'"),
        ({"share": 1.5}, "share"),
        ({"count": 0}, "count"),
        ({"mode": "fast", "share": 0.0}, "^/probe: fast needs a share"),
    ],
)
def test_it_does_not_start_with_an_unacceptable_parameter(
    make: Callable[..., Probe], parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(Exception, match=said):
        make(**parameters)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mode": "furious"}, "parameter mode is 'furious'; allowed is 'slow', 'fast'"),
        ({"share": 1.5}, "share"),
        ({"share": float("nan")}, "share"),
        ({"count": 0}, "count"),
        ({"count": "three"}, "parameter count is 'three'; allowed is a whole number, 1 or more"),
        ({"fixed": "changed"}, "read-only"),
        ({"mode": "fast", "share": 0.0}, "fast needs a share"),
        ({"count": 6}, "not so many now"),
    ],
)
def test_unacceptable_values_are_refused_and_nothing_changes(
    make: Callable[..., Probe], values: dict[str, Any], said: str
) -> None:
    node = make()
    before = node.parameters
    result = put(node, **values)
    assert not result.successful and said in result.reason
    assert node.parameters == before
    assert not node.changed


def test_what_a_node_cannot_take_now_keeps_no_other_parameter_from_it(make: Callable[..., Probe]) -> None:
    node = make(count=6)
    assert put(node, share=1.0).successful and not put(node, count=7).successful


def test_without_a_callback_after_setting_it_is_the_same(
    make: Callable[..., Probe], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on Humble.
    monkeypatch.delattr(Node, "add_post_set_parameters_callback")
    node = make()
    assert not put(node, share=1.5).successful and put(node, mode="fast").successful
    assert not put(node, share=0.0).successful, "before the first is told, too"
    spin(node, lambda: node.changed)
    assert node.changed == [{"mode"}] and node.parameters.mode == "fast"


def test_accepted_values_are_in_force_when_told(make: Callable[..., Probe]) -> None:
    node = make()
    assert put(node, mode="fast", share=1.0).successful
    assert (node.parameters.mode, node.parameters.share) == ("fast", 1.0)
    assert node.changed == [{"mode", "share"}]


def test_descriptors_tell_unit_range_and_choices(make: Callable[..., Probe]) -> None:
    node = make()
    assert node.describe_parameter("mode").additional_constraints == "one of 'slow', 'fast'"
    (numbers,) = node.describe_parameter("share").floating_point_range
    assert (numbers.from_value, numbers.to_value) == (0.0, 1.0)
    (whole,) = node.describe_parameter("count").integer_range
    assert whole.from_value == 1 and whole.to_value >= 2**31
    assert node.describe_parameter("fixed").read_only and not node.describe_parameter("mode").read_only
