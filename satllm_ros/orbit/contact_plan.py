"""Contact plans: who can send to whom, from when to when, how fast and over how far; from files and into files.

Three forms: CSV and YAML with names, and the text that ION's `ionadmin` reads, in which nodes are numbers (`a contact`,
`a range`; ionrc(5)). A mission with flight dynamics of its own needs nothing else of this room.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import yaml

from satllm_ros.orbit.constants import LIGHT_M_PER_S

MAX_TIME_S = 1e10
_SUFFIXES = (".csv", ".yaml", ".yml", ".ionrc")


class ContactPlanError(ValueError):
    """A contact plan that is none; the message names file, row and field."""


@dataclass(frozen=True)
class Contact:
    """A window in which `sender` can send to `receiver`; times in seconds from the epoch."""

    sender: str
    receiver: str
    start_s: float
    stop_s: float
    rate_bps: float
    range_m: float

    @property
    def delay_s(self) -> float:
        """One way, at the speed of light."""
        return self.range_m / LIGHT_M_PER_S


_FIELDS = tuple(field.name for field in fields(Contact))


def write_plan(path: Path, contacts: Sequence[Contact]) -> None:
    """Write a plan in the form that the file's suffix names.

    Raises
    ------
    ContactPlanError
        If the suffix names none.
    OSError
        If the file cannot be written.
    """
    _check_suffix(path)
    if path.suffix == ".ionrc":
        path.write_text(to_ion(contacts), encoding="utf-8")
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _FIELDS)
            writer.writeheader()
            writer.writerows(asdict(contact) for contact in contacts)
    else:
        path.write_text(yaml.safe_dump({"contacts": [asdict(c) for c in contacts]}, sort_keys=False), encoding="utf-8")


def read_plan(path: Path) -> list[Contact]:
    """Read a plan, by start.

    Raises
    ------
    ContactPlanError
        In one sentence, if it is none: a field that is missing, unknown or no number, a contact that ends before it
        begins, overlaps another of its pair, or has no rate.
    OSError
        If the file cannot be read.
    """
    _check_suffix(path)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ionrc":
        contacts = _from_ion(path.name, text)
    elif path.suffix == ".csv":
        contacts = [
            _contact(f"{path.name}: row {n}", row) for n, row in enumerate(csv.DictReader(io.StringIO(text)), 1)
        ]
    else:
        contacts = _from_yaml(path.name, text)
    contacts.sort(key=lambda contact: (contact.start_s, contact.sender, contact.receiver))
    _refuse_overlaps(path.name, contacts)
    return contacts


def to_ion(contacts: Sequence[Contact]) -> str:
    """The plan as commands of `ionadmin`: times from its reference time on, rates in bytes a second, ranges in seconds.

    Nodes are numbered in the order in which they are named; comments say which is which.
    """
    numbers: dict[str, int] = {}
    for contact in contacts:
        for name in (contact.sender, contact.receiver):
            numbers.setdefault(name, len(numbers) + 1)
    lines = [f"# node {number} {name}" for name, number in numbers.items()]
    for contact in contacts:
        # Whole seconds, never more than there is.
        when = f"+{math.ceil(contact.start_s)} +{math.floor(contact.stop_s)}"
        ends = f"{numbers[contact.sender]} {numbers[contact.receiver]}"
        lines.append(f"a contact {when} {ends} {math.floor(contact.rate_bps / 8)}")
        lines.append(f"a range {when} {ends} {math.ceil(contact.delay_s)}")
    return "\n".join(lines) + "\n"


def _check_suffix(path: Path) -> None:
    if path.suffix not in _SUFFIXES:
        raise ContactPlanError(f"{path.name} is no contact plan by its name; allowed are {', '.join(_SUFFIXES)}")


def _from_yaml(name: str, text: str) -> list[Contact]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContactPlanError(f"{name} is no YAML: {' '.join(str(error).split())}") from error
    rows = content.get("contacts") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise ContactPlanError(f"{name} has no list of contacts; one called contacts is needed")
    return [_contact(f"{name}: contacts[{n}]", row) for n, row in enumerate(rows)]


def _from_ion(name: str, text: str) -> list[Contact]:
    names: dict[str, str] = {}
    ways: dict[tuple[str, ...], float] = {}
    found: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words[:2] == ["#", "node"] and len(words) == 4:
            names[words[2]] = words[3]
        elif words[:2] == ["a", "contact"] and len(words) in (7, 8):
            found.append((number, words[2:7]))
        elif words[:2] == ["a", "range"] and len(words) == 7:
            *window, far = words[2:]
            ways[tuple(window)] = _number(f"{name}: line {number}", "range", far)
        elif words and not words[0].startswith("#"):
            raise ContactPlanError(f"{name}: line {number} is {line!r}; a contact, a range or a comment is needed")
    contacts = []
    for number, (start, stop, sender, receiver, rate) in found:
        where = f"{name}: line {number}"
        if not (start.startswith("+") and stop.startswith("+")):
            raise ContactPlanError(f"{where}: times are {start} and {stop}; seconds from the epoch, as +60, are needed")
        # A range holds both ways.
        light_s = ways.get((start, stop, sender, receiver), ways.get((start, stop, receiver, sender), 0.0))
        row = {
            "sender": names.get(sender, sender),
            "receiver": names.get(receiver, receiver),
            "start_s": start[1:],
            "stop_s": stop[1:],
            "rate_bps": 8.0 * _number(where, "rate", rate),
            "range_m": light_s * LIGHT_M_PER_S,
        }
        contacts.append(_contact(where, row))
    return contacts


def _contact(where: str, row: object) -> Contact:
    if not isinstance(row, dict):
        raise ContactPlanError(f"{where} is {type(row).__name__}; a mapping is needed")
    if unknown := [key for key in row if key not in _FIELDS]:
        raise ContactPlanError(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(_FIELDS)}")
    if missing := [key for key in _FIELDS if row.get(key) in (None, "")]:
        raise ContactPlanError(f"{where}: {missing[0]} is missing")
    sender, receiver = str(row["sender"]), str(row["receiver"])
    numbers = {key: _number(where, key, row[key]) for key in _FIELDS[2:]}
    contact = Contact(sender, receiver, **numbers)
    if sender == receiver:
        raise ContactPlanError(f"{where}: {sender} has a contact with itself; two are needed")
    if not contact.start_s < contact.stop_s:
        raise ContactPlanError(
            f"{where}: the contact ends at {contact.stop_s:g} s and begins at {contact.start_s:g} s; it must end later"
        )
    if contact.rate_bps <= 0:
        raise ContactPlanError(f"{where}: rate_bps is {contact.rate_bps:g}; a number above 0 is needed")
    return contact


def _number(where: str, key: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number is refused here
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not 0.0 <= number < math.inf or (key.endswith("_s") and number > MAX_TIME_S):
        raise ContactPlanError(f"{where}: {key} is {value!r}; a number of 0 or more is needed")
    return number


def _refuse_overlaps(name: str, contacts: Iterable[Contact]) -> None:
    ends: dict[tuple[str, str], float] = {}
    for contact in contacts:
        pair = contact.sender, contact.receiver
        if contact.start_s < ends.get(pair, 0.0):
            raise ContactPlanError(
                f"{name}: contacts from {pair[0]} to {pair[1]} overlap at {contact.start_s:g} s; none may"
            )
        ends[pair] = contact.stop_s
