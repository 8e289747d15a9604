"""Reference pages made from the tables the code runs on: `python -m satllm_ros.nodes.reference docs`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from satllm_ros.interfaces import REPLAN_SERVICE, TOPICS, Qos
from satllm_ros.nodes.base.diagnostic_keys import COMMON
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.parameters import NodeParameters, Parameter, statements
from satllm_ros.nodes.compression import CompressionNode
from satllm_ros.nodes.downlink import DownlinkNode
from satllm_ros.nodes.ground import GroundNode
from satllm_ros.nodes.links import LinkNode
from satllm_ros.nodes.orbit_clock import OrbitClockNode
from satllm_ros.nodes.planner import PlannerNode
from satllm_ros.nodes.recorder import RecorderNode
from satllm_ros.nodes.sensing import SensingNode
from satllm_ros.nodes.stage import StageNode

NODES: dict[str, type[FlightNode]] = {
    "sensing": SensingNode,
    "<satellite>/compression": CompressionNode,
    "<satellite>/stage": StageNode,
    "<satellite>/downlink": DownlinkNode,
    "planner": PlannerNode,
    "ground": GroundNode,
    "recorder": RecorderNode,
    "link": LinkNode,
    "orbit_clock": OrbitClockNode,
}
MADE = "<!-- made in build/ by `../.venv/bin/python -m satllm_ros.nodes.reference ../docs`; do not edit -->"


LINKS = """## link_state: what links carry

The planner plans with the median of the last five rates that `link_state` gave a directed link; before, with that of
`links.pairs` or of its kind in the constellation file. On real links it reckons with what is left for batches, and
never with more than the flow controller lets out that was made for the file's rate: a link that has become faster
shows after a restart. Names of the ends are those of satellites, `sensing` and `ground`; each direction is a link of
its own.

**A modem's driver publishes it**, on every change and once a second, `source` left 0: `rate_bps` and
`propagation_s` as the link is set, `up` false while there is none; the rate of a link that is down is not looked at. A
satellite sends no predictions while the link
from it to the ground is said to be down; that word holds for 5 s, so that a driver that dies shuts no link. Of other
links `up` changes no plan: who is cut off by them is noticed by its hellos. A rate
that changes by more than a tenth makes the planner look again. [examples/modem.py](../examples/modem.py) is such a
driver in a few lines. Where links are emulated, the `link` node says it: then no driver shall. By a [contact
plan](orbits.md#in-flight) it says so of every link, at each edge; rates and delays are those of a real second, at
`speed` times real that many times the plan's.

**Senders publish what they measured**, `source` 1, when it has changed by a twentieth and every 10 s: goodput, from
hand-over to `<sender>/link_receipt`, the word of every receiver that a batch has arrived, on the sender's clock alone.
It can be told where batches wait for one another, so that the link is the limit, or where sizes differ; else nothing
is said. `up` of such a message means nothing. A
measurement that is within a tenth of the modem's word (less headers, on real links) confirms it; one that contradicts
it is planned with until the modem gives another rate, or for 10 minutes after the last one. Without a modem, it takes
the place of the constellation file's."""


def topics_page() -> str:
    """Markdown of every topic, its type and its quality of service."""
    rows = [
        (f"`{t.name.replace('{node}', '<node>')}`", f"`{t.type}`", t.qos.name.lower(), t.writers, t.readers)
        for t in TOPICS
    ]
    qualities = [
        (
            qos.name.lower(),
            "reliable" if qos.value.reliable else "best effort",
            "transient local" if qos.value.latched else "volatile",
            f"keep last {qos.value.depth}",
            qos.value.purpose,
        )
        for qos in Qos
    ]
    return "\n".join(
        [
            MADE,
            "# Topics and services",
            "",
            "Names are relative to the namespace the graph is started in, but for `/clock`;"
            " `<node>` is a satellite, `sensing` or `ground`.",
            "",
            *_table(("topic", "type", "quality", "written by", "read by"), rows),
            "",
            f"Service `{REPLAN_SERVICE}` (`std_srvs/srv/Trigger`) makes the planner plan anew. Every node publishes "
            "`/diagnostics` and has the lifecycle services of a ROS 2 managed node.",
            "",
            LINKS,
            "",
            "## Qualities of service",
            "",
            *_table(("quality", "reliability", "durability", "history", "for"), qualities),
            "",
        ]
    )


def parameters_page() -> str:
    """Markdown of every node's parameters."""
    of_all = statements(NodeParameters)
    autostart = of_all["autostart"]
    lines = [
        MADE,
        "# Parameters",
        "",
        "A parameter marked *live* may be set while the node runs (`ros2 param set`);"
        " the others are read when it starts.",
        f"Every node also has `{autostart.name}` ({_value(autostart.default)}): {autostart.description.lower()}.",
    ]
    for name, node in NODES.items():
        rows = [
            (f"`{p.name}`", _value(p.default), _unit(p), p.allowed, "" if p.read_only else "live", p.description)
            for p in statements(node.PARAMETERS).values()
            if p.name not in of_all
        ]
        purpose = (node.__doc__ or "").splitlines()[0]
        lines += ["", f"## {name}", "", purpose, ""]
        lines += _table(("parameter", "default", "unit", "allowed", "", "meaning"), rows)
    return "\n".join([*lines, ""])


def diagnostics_page() -> str:
    """Markdown of what every node says in /diagnostics."""
    lines = [
        MADE,
        "# Diagnostics",
        "",
        "Every node publishes `/diagnostics` (`diagnostic_msgs/msg/DiagnosticArray`) once a second: `name` is the"
        " node's, `hardware_id` the computer's, `level` and `message` say whether something that should happen does"
        " not. All keys are there from the first message on. Counters begin at 0 with each life of a process, those"
        " of custody, stores and the ground with each configuration; other values are empty while unknown.",
        "",
        "`ros2 topic echo /diagnostics`, or `rqt_runtime_monitor`.",
        "",
        "## every node",
        "",
        *_table(("counter", "meaning"), [(f"`{key}`", meaning) for key, meaning in COMMON.items()]),
    ]
    for name, node in NODES.items():
        keys = {**node.KEYS.values, **node.KEYS.counters}
        lines += ["", f"## {name}", ""]
        lines += _table(("key", "meaning"), [(f"`{key}`", meaning) for key, meaning in keys.items()])
    return "\n".join([*lines, ""])


def _unit(parameter: Parameter) -> str:
    return "" if parameter.unit == "-" else parameter.unit


def _value(default: object) -> str:
    shown = list(default) if isinstance(default, tuple) else default
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{shown!r}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m satllm_ros.nodes.reference FOLDER", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    (directory / "topics.md").write_text(topics_page(), encoding="utf-8")
    (directory / "parameters.md").write_text(parameters_page(), encoding="utf-8")
    (directory / "diagnostics.md").write_text(diagnostics_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
