"""Node parameters as data: one table feeds the declaration, the descriptors, the validation and docs/parameters.md."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter


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
        return {bool: "true or false", int: "an integer", float: "a number", str: "a string", list: "strings"}[
            type(self.default)
        ]

    def complaint(self, value: Any) -> str | None:
        """Why a value is not acceptable, in one sentence; None if it is."""
        wrong = (bool(self.choices) and value not in self.choices) or (
            self.low is not None and not self.low <= value <= (math.inf if self.high is None else self.high)
        )
        return f"parameter {self.name} is {value!r}; allowed is {self.allowed}" if wrong else None

    def descriptor(self) -> ParameterDescriptor:
        unit = "" if self.unit == "-" else f" [{self.unit}]"
        descriptor = ParameterDescriptor(name=self.name, description=self.description + unit, read_only=self.read_only)
        if self.choices:
            descriptor.additional_constraints = f"one of {self.allowed}"
        if self.low is not None:
            if isinstance(self.default, int):
                high = 2**53 if self.high is None else int(self.high)
                descriptor.integer_range = [IntegerRange(from_value=int(self.low), to_value=high)]
            else:
                high = 1e300 if self.high is None else self.high
                descriptor.floating_point_range = [FloatingPointRange(from_value=float(self.low), to_value=float(high))]
        return descriptor


def declare(node: Node, table: Iterable[Parameter]) -> None:
    """Declare every parameter of a table with its descriptor."""
    for parameter in table:
        default: Any = parameter.default
        if default == []:
            # An empty list has no type in ROS: name it.
            node.declare_parameter(parameter.name, RosParameter.Type.STRING_ARRAY, parameter.descriptor())
        else:
            node.declare_parameter(parameter.name, default, parameter.descriptor())


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
PLAN_PUBLIC_KEY = Parameter(
    "plan_public_key",
    "",
    "Ed25519 key, 64 hexadecimal digits: plans that it did not sign are refused; empty: unsigned plans fly",
)
STATE_DIRECTORY = Parameter(
    "state_directory", "", "Folder of what the next life of this node must know; empty: the working directory"
)
AUTOSTART = Parameter("autostart", True, "Configure and activate without waiting for a lifecycle manager")
BATCH_TILES = Parameter("batch_tiles", 10, "Tiles N that travel together", "tile", 1, 4096)
BANDS = Parameter(
    "bands",
    "",
    "Bands of an image to take as red, green, blue, such as 4,3,2, or one as grey; empty: as the checkpoint says, or "
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
