"""Contact plans: who can send to whom, from when to when, how fast and over how far; from files and into files.

Three forms: CSV and YAML with names, and the text that ION's `ionadmin` reads, in which nodes are numbers (`a contact`,
`a range`; ionrc(5)). A mission with flight dynamics of its own needs nothing else of this room.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import yaml

from satllm_ros.documents.section import DocumentError, Section
from satllm_ros.documents.yaml_file import read_yaml
from satllm_ros.orbit.constants import LIGHT_M_PER_S

MAX_TIME_S, MAX_RATE_BPS, MAX_RANGE_M = 1e10, 1e15, 1e15
_SUFFIXES = (".csv", ".yaml", ".yml", ".ionrc")


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
_NUMBERS = _FIELDS[2:]


def write_plan(path: Path, contacts: Sequence[Contact]) -> None:
    """Write a plan in the form that the file's suffix names.

    Raises
    ------
    DocumentError
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
    DocumentError
        In one sentence, if it is none: a field that is missing, unknown or no number, a contact that ends before it
        begins, overlaps another of its pair, or has no rate.
    OSError
        If the file cannot be read.
    """
    _check_suffix(path)
    if path.suffix == ".ionrc":
        contacts = _from_ion(path.name, path.read_text(encoding="utf-8"))
    elif path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            contacts = [
                _contact(f"{path.name}: row {n}", _values(row)) for n, row in enumerate(csv.DictReader(file), 1)
            ]
    else:
        top = Section(path.name, read_yaml(path))
        rows = top.value("contacts")
        if not isinstance(rows, list):
            raise DocumentError(f"{path.name} has no list of contacts; one called contacts is needed")
        top.refuse_unknown()
        contacts = [_contact(f"{path.name}: contacts[{n}]", row) for n, row in enumerate(rows)]
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
        raise DocumentError(f"{path.name} is no contact plan by its name; allowed are {', '.join(_SUFFIXES)}")


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
            ways[tuple(window)] = _figure(f"{name}: line {number}", "range", far)
        elif words and not words[0].startswith("#"):
            raise DocumentError(f"{name}: line {number} is {line!r}; a contact, a range or a comment is needed")
    contacts = []
    for number, (start, stop, sender, receiver, rate) in found:
        where = f"{name}: line {number}"
        if not (start.startswith("+") and stop.startswith("+")):
            raise DocumentError(f"{where}: times are {start} and {stop}; seconds from the epoch, as +60, are needed")
        # A range holds both ways.
        light_s = ways.get((start, stop, sender, receiver), ways.get((start, stop, receiver, sender), 0.0))
        row = {
            "sender": names.get(sender, sender),
            "receiver": names.get(receiver, receiver),
            "start_s": _value(start[1:]),
            "stop_s": _value(stop[1:]),
            "rate_bps": 8.0 * _figure(where, "rate", rate),
            "range_m": light_s * LIGHT_M_PER_S,
        }
        contacts.append(_contact(where, row))
    return contacts


def _contact(where: str, row: object) -> Contact:
    section = Section(where, row)
    contact = Contact(
        section.text("sender"),
        section.text("receiver"),
        section.number("start_s", 0.0, MAX_TIME_S),
        section.number("stop_s", 0.0, MAX_TIME_S),
        section.above("rate_bps", MAX_RATE_BPS),
        section.number("range_m", 0.0, MAX_RANGE_M),
    )
    section.refuse_unknown()
    if contact.sender == contact.receiver:
        raise DocumentError(f"{where}: {contact.sender} has a contact with itself; two are needed")
    if not contact.start_s < contact.stop_s:
        raise DocumentError(
            f"{where}: the contact ends at {contact.stop_s:g} s and begins at {contact.start_s:g} s; it must end later"
        )
    return contact


def _values(row: Mapping[str, str | None]) -> dict[str, object]:
    """Fields of a text: numbers where numbers are wanted and there, none where nothing is."""
    return {key: _value(value) if key in _NUMBERS else value for key, value in row.items() if value}


def _figure(where: str, key: str, text: str) -> float:
    return Section(where, {key: _value(text)}).number(key, 0.0, MAX_RATE_BPS)


def _value(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _refuse_overlaps(name: str, contacts: Iterable[Contact]) -> None:
    ends: dict[tuple[str, str], float] = {}
    for contact in contacts:
        pair = contact.sender, contact.receiver
        if contact.start_s < ends.get(pair, 0.0):
            raise DocumentError(
                f"{name}: contacts from {pair[0]} to {pair[1]} overlap at {contact.start_s:g} s; none may"
            )
        ends[pair] = contact.stop_s
