"""Node parameters as data: a frozen, typed struct a node, each of whose fields states one parameter.

That statement is the only place that knows a parameter's default, unit and meaning, and its bounds, where no other
document has them too: those are in `satllm_ros.interfaces`. From it come the declaration in ROS, the descriptors, the
validation and docs/parameters.md. A node reads its values from `FlightNode.parameters`, a struct that has been checked
as a whole, when the node starts and whenever one is set.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from satllm_ros.interfaces import MAX_WHOLE
from satllm_ros.nodes.base.compat import given_parameters

# Those that rclpy declares for every node by itself.
_OF_RCLPY = ("use_sim_time", "start_type_description_service", "qos_overrides.")
_STATEMENT = "parameter"
# What is stated without an upper bound goes so far: further, a whole number is none as a float, nor in a descriptor.
_MOST = {int: MAX_WHOLE, float: 1e300}
_T = TypeVar("_T", bool, int, float, str, tuple[str, ...])


@dataclass(frozen=True)
class Parameter:
    """What is stated of one parameter; see `parameter`."""

    name: str
    default: bool | int | float | str | tuple[str, ...]
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
        return {bool: "true or false", int: "a whole number", float: "a number", str: "a string", tuple: "strings"}[
            type(self.default)
        ]

    @property
    def _most(self) -> float:
        return self.high if self.high is not None else _MOST.get(type(self.default), math.inf)

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
        taken: Any = () if wanted is tuple and (value is None or len(_items(value)) == 0) else _as(wanted, value)
        if taken is None:
            hint = f"; in quotes it is one: \"'{value}'\"" if wanted is str and value is not None else ""
            raise ValueError(f"parameter {self.name} is {_shown(value)}; allowed is {self._wanted}{hint}")
        if wanted in _MOST and not -_MOST[wanted] <= taken <= _MOST[wanted]:
            raise ValueError(
                f"parameter {self.name} is {_shown(value)}; allowed is {self._wanted}, up to {_MOST[wanted]:g}"
            )
        if (self.choices and taken not in self.choices) or (
            self.low is not None and not self.low <= taken <= self._most
        ):
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
                descriptor.integer_range = [IntegerRange(from_value=int(self.low), to_value=int(self._most))]
            else:
                bounds = FloatingPointRange(from_value=float(self.low), to_value=float(self._most))
                descriptor.floating_point_range = [bounds]
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
    if wanted is tuple:
        items = _items(value)
        is_list = isinstance(value, list | tuple) and all(isinstance(item, str) for item in items)
        return tuple(items) if is_list else None
    return value if wanted is str and isinstance(value, str) else None


def _shown(value: Any) -> str:
    return "not set" if value is None else repr(list(value) if isinstance(value, array) else value)


def parameter(
    default: _T,
    description: str,
    unit: str = "-",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    *,
    read_only: bool = True,
) -> _T:
    """State a parameter, as a field of a `NodeParameters`; the field's name is the parameter's.

    Parameters
    ----------
    default
        Its type is the parameter's; strings are a tuple.
    low, high
        Bound a number, inclusively.
    choices
        The strings that are allowed, if not all.
    read_only
        It is set when the node starts and never changes.
    """
    stated = Parameter("", default, description, unit, low, high, choices, read_only)
    made: Any = field(default=default, metadata={_STATEMENT: stated})
    return made  # type: ignore[no-any-return]


@dataclass(frozen=True)
class NodeParameters:
    """Values of a node's parameters, each of the type and in the bounds that its field states."""

    autostart: bool = parameter(True, "Configure and activate without waiting for a lifecycle manager")

    def complaint(self) -> str | None:
        """Why these values do not go together, each within its own bounds; None if they do.

        It may as well be raised, as a `ValueError`.
        """


def statements(struct: type[NodeParameters]) -> dict[str, Parameter]:
    """All parameters of a struct by name, in its order."""
    return {each.name: replace(each.metadata[_STATEMENT], name=each.name) for each in fields(struct)}


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
        node.declare_parameter(parameter.name, value if value != () else None, parameter.descriptor(), True)


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
