"""Node parameters as data: one table feeds the declaration, the descriptors, the validation and docs/parameters.md."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from satllm_ros.nodes.base.compat import given_parameters

# Those that rclpy declares for every node by itself.
_OF_RCLPY = ("use_sim_time", "start_type_description_service", "qos_overrides.")


@dataclass(frozen=True)
class Parameter:
    """One parameter of one node.

    `low` and `high` bound a number inclusively; `choices` lists the allowed strings. A read-only parameter is
    set when the node starts and never changes.
    """

    name: str
    default: bool | int | float | str | list[str]
    description: str
    unit: str = "-"
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = True

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        if self.choices:
            return ", ".join(repr(c) for c in self.choices)
        if self.low is not None and self.high is not None and math.isfinite(self.high):
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"{self.low:g} or more"
        return {bool: "true or false", int: "a whole number", float: "a number", str: "a string", list: "strings"}[
            type(self.default)
        ]

    @property
    def _wanted(self) -> str:
        kind = {int: "a whole number, ", float: "a number, "}.get(type(self.default), "")
        return self.allowed if self.low is None else kind + self.allowed

    def taken(self, value: Any) -> Any:
        """A value as this parameter's own type: a whole number is good where a fraction is wanted, and 10.0 for 10.

        Raises
        ------
        ValueError
            In one sentence, if the value is of another type, out of range or none of the choices.
        """
        wanted = type(self.default)
        # What a parameter file says by an empty list has no type, or any.
        taken: Any = [] if wanted is list and (value is None or len(_items(value)) == 0) else _as(wanted, value)
        if taken is None:
            hint = f"; in quotes it is one: \"'{value}'\"" if wanted is str and value is not None else ""
            raise ValueError(f"parameter {self.name} is {_shown(value)}; allowed is {self._wanted}{hint}")
        wrong = (bool(self.choices) and taken not in self.choices) or (
            self.low is not None and not self.low <= taken <= (math.inf if self.high is None else self.high)
        )
        if wrong or (wanted is float and not math.isfinite(taken)):
            raise ValueError(f"parameter {self.name} is {_shown(value)}; allowed is {self._wanted}")
        return taken

    def descriptor(self) -> ParameterDescriptor:
        unit = "" if self.unit == "-" else f" [{self.unit}]"
        descriptor = ParameterDescriptor(name=self.name, description=self.description + unit, read_only=self.read_only)
        # Else rclpy takes no 1 for 1.0, and ends with a traceback; `taken` checks the type.
        descriptor.dynamic_typing = True
        if self.choices:
            descriptor.additional_constraints = f"one of {self.allowed}"
        if self.low is not None:
            if isinstance(self.default, int):
                most = 2**53 if self.high is None else int(self.high)
                descriptor.integer_range = [IntegerRange(from_value=int(self.low), to_value=most)]
            else:
                high = 1e300 if self.high is None else self.high
                descriptor.floating_point_range = [FloatingPointRange(from_value=float(self.low), to_value=float(high))]
        return descriptor


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | array) else [value]


def _as(wanted: type, value: Any) -> Any:
    """A value as `wanted`, where nothing is lost by it; else None."""
    if isinstance(value, bool) or wanted is bool:
        return value if isinstance(value, bool) and wanted is bool else None
    if wanted is float and isinstance(value, int | float):
        return float(value)
    if wanted is int and isinstance(value, int | float):
        return int(value) if math.isfinite(value) and value == int(value) else None
    if wanted is list:
        items = _items(value)
        is_list = isinstance(value, list | tuple) and all(isinstance(item, str) for item in items)
        return items if is_list else None
    return value if wanted is str and isinstance(value, str) else None


def _shown(value: Any) -> str:
    return "not set" if value is None else repr(list(value) if isinstance(value, array) else value)


def declare(node: Node, table: Iterable[Parameter]) -> None:
    """Declare every parameter of a table with its descriptor, and the value it was given or its default.

    Raises
    ------
    ValueError
        In one sentence, if a value that was given is not acceptable.
    """
    given = given_parameters(node)
    for parameter in table:
        value: Any = parameter.default
        if parameter.name in given:
            try:
                value = parameter.taken(given[parameter.name])
            except ValueError as error:
                raise ValueError(f"{node.get_fully_qualified_name()}: {error}") from None
        # An empty list has no type in ROS.
        node.declare_parameter(parameter.name, value if value != [] else None, parameter.descriptor(), True)


def unknown_names(node: Node, own: Collection[str], others: Callable[[], Collection[str]]) -> list[str]:
    """A sentence for each parameter that was given and that nobody knows, with the nearest name that is known.

    Parameters
    ----------
    others
        Gives the parameters of all other nodes, called only where one is not this node's own: a file for `/**`, and
        `-p` of a process with several nodes, give every node those of all.
    """
    unknown = [n for n in given_parameters(node) if n not in own and not n.startswith(_OF_RCLPY)]
    known = {*own, *others()} if unknown else set()
    sentences = []
    for name in unknown:
        if name not in known:
            near = get_close_matches(name, sorted(own), n=1) or get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else "`ros2 param list` shows those that there are"
            sentences.append(f"parameter {name} is not known, and does nothing; {hint}")
    return sentences


# Parameters that several nodes share, with one meaning.
CHECKPOINT = Parameter(
    "checkpoint", "demo", "Checkpoint of the whole model (safetensors); 'demo' is the one shipped here"
)
ARTEFACTS = Parameter(
    "artefacts", "demo", "Codec artefacts made for that checkpoint (safetensors); 'demo' is the one shipped here"
)
SATELLITES = Parameter("satellites", [], "Names of all satellites of the constellation")
EMULATE_LINKS = Parameter(
    "emulate_links", False, "Send to the outbox, for the link node to carry, instead of straight to the next inbox"
)
LINK_CONTROLLERS = Parameter(
    "link_controllers",
    [],
    "Real links with a flow controller in this process's Fast DDS profile, destination=rate,delay in bit/s and s: "
    "batches go to DDS as the link takes them; to other destinations at once",
)
PLAN_PUBLIC_KEY = Parameter(
    "plan_public_key",
    "",
    "Ed25519 key, 64 hexadecimal digits: plans that it did not sign are refused; empty: unsigned plans fly",
)
STATE_DIRECTORY = Parameter(
    "state_directory", "", "Folder of what the next life of this node must know; empty: the working directory"
)
RECURSIVE = Parameter("recursive", False, "Descend into the folders of a folder of images too")
AUTOSTART = Parameter("autostart", True, "Configure and activate without waiting for a lifecycle manager")
BATCH_TILES = Parameter("batch_tiles", 10, "Tiles N that travel together", "tile", 1, 4096)
BANDS = Parameter(
    "bands",
    "",
    "Bands of an image to take as red, green, blue, such as 4,3,2, or one as gray; empty: as the checkpoint says, or "
    "the image declares",
)
PIXEL_SCALE = Parameter(
    "pixel_scale",
    0.0,
    "Factor from a sample that is not 8 bits unsigned to 0..255; 0: as the checkpoint says, else such are refused",
    "-",
    0.0,
    1e12,
)
RESIZE = Parameter(
    "resize",
    0,
    "Side of the square that the middle of each frame is resampled to; 0: frames are cut into tiles",
    "pixel",
    0,
    16384,
)


KINDS = {
    "upload": "the link from sensing to the first satellite",
    "isl": "each inter-satellite link",
    "s2g": "the link to the ground",
}

LINK_PAIRS = Parameter(
    "link_pairs",
    [],
    "Rate [bit/s] and propagation delay [s] of single directed links, where they differ from those of their kind: "
    "'sat1-sat2=8e6,0.01'; an empty string names none",
    read_only=False,
)
