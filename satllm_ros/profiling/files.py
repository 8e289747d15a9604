"""Measured inputs of the planner as files: YAML that a human can read, for one model on one device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from satllm_ros.documents.section import DocumentError, Section, shown
from satllm_ros.documents.yaml_file import read_yaml

FORMAT = "satllm-profile"
VERSION = 1
# Speeds are compared with these times, so none may be nothing.
SHORTEST_LAYER_S, LONGEST_LAYER_S = 1e-9, 1e6
_MOST, _LARGEST = 2**31 - 1, 1e24


@dataclass(frozen=True)
class BlockTimes:
    """Median seconds of each layer for a batch of so many tiles with so many threads; embed in the first, head in the
    last."""

    batch_tiles: int
    threads: int
    layer_s: tuple[float, ...]


@dataclass(frozen=True)
class MemoryPoint:
    """Peak memory of a process that holds so many blocks and has run a batch, above that of one that holds none."""

    blocks: int
    bytes: int


@dataclass(frozen=True)
class MemoryLine:
    """M(l) = overhead + per_block l, the least-squares line through the points, and its largest error [byte]."""

    overhead_bytes: float
    per_block_bytes: float
    worst_error_bytes: float


@dataclass(frozen=True)
class CodecCost:
    """Seconds per fp32 byte of the cut, and wire bytes / fp32 bytes."""

    encode_s_per_byte: float
    decode_s_per_byte: float
    ratio: float


@dataclass(frozen=True)
class Profile:
    """What was measured of one model on one device.

    Attributes
    ----------
    model_id, device
        What it is valid for.
    measured_at
        UTC, ISO 8601.
    """

    model_id: str
    device: str
    measured_at: str
    blocks: tuple[BlockTimes, ...]
    memory: tuple[MemoryPoint, ...] = ()
    memory_line: MemoryLine | None = None
    codecs: Mapping[str, CodecCost] = field(default_factory=dict)

    def age_s(self, now: datetime | None = None) -> float:
        """Seconds since it was measured."""
        then = datetime.fromisoformat(self.measured_at)
        return ((now or datetime.now(timezone.utc)) - then).total_seconds()

    def layer_s(self, batch_tiles: int, threads: int) -> tuple[float, ...]:
        """Seconds of each layer for a batch, from the measurement nearest in threads, then in tiles, scaled to it."""
        near = min(
            self.blocks,
            key=lambda b: (abs(math.log(b.threads / threads)), abs(math.log(b.batch_tiles / batch_tiles))),
        )
        return tuple(s * batch_tiles / near.batch_tiles for s in near.layer_s)


def now_utc() -> str:
    """The time, as profiles state it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def profile_path(folder: Path, model_id: str, device: str) -> Path:
    """Where the profile of a model on a device lies in a folder."""
    readable = "".join(c if c.isalnum() else "-" for c in device.lower()).strip("-")
    while "--" in readable:
        readable = readable.replace("--", "-")
    return folder / f"{model_id}-{readable}.profile.yaml"


def save_profile(path: Path, profile: Profile) -> None:
    """Write a profile; figures with four digits, which is more than a measurement is good for."""
    document = {"format": FORMAT, "version": VERSION, **_plain(asdict(profile))}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120))


def load_profile(path: Path, *, model_id: str | None = None, device: str | None = None) -> Profile:
    """Read a profile and check that it is whole, and of this model and device if they are given.

    Raises
    ------
    OSError
        If the file cannot be read.
    DocumentError
        If it is no profile, or of another model or device.
    """
    profile = _profile(open_measurements(path, FORMAT, VERSION))
    for what, wanted, found in (("model", model_id, profile.model_id), ("device", device, profile.device)):
        if wanted is not None and wanted != found:
            raise DocumentError(f"{path} is of {what} {found!r}, needed is {wanted!r}")
    return profile


def open_measurements(path: Path, kind: str, version: int) -> Section:
    """A file of measurements of this kind and version, its other fields unread.

    Raises
    ------
    OSError
        If the file cannot be read.
    DocumentError
        If it is no YAML, or of another kind or version.
    """
    section = Section(str(path), read_yaml(path))
    if (section.value("format"), section.value("version")) != (kind, version):
        raise DocumentError(f"{path} is no {kind} of version {version}")
    return section


def measured_at(section: Section) -> datetime:
    """When a file of measurements says that it was made."""
    text = section.text("measured_at")
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        then = None
    if then is None or then.tzinfo is None:
        raise DocumentError(
            f"{section.where}: measured_at is {shown(text)}; a time with its zone is needed, as "
            "2026-01-01T00:00:00+00:00"
        )
    return then


def _profile(section: Section) -> Profile:
    measured_at(section)
    # What was not measured stands there as nothing.
    line, codecs = section.value("memory_line"), section.value("codecs")
    profile = Profile(
        model_id=section.text("model_id"),
        device=section.text("device"),
        measured_at=section.text("measured_at"),
        blocks=tuple(map(_block_times, section.sections("blocks"))),
        memory=tuple(map(_memory_point, section.sections("memory") if section.value("memory") else ())),
        memory_line=None if line is None else _memory_line(section.section("memory_line")),
        codecs=_codecs(section.section("codecs")) if codecs else {},
    )
    section.refuse_unknown()
    if len({len(block.layer_s) for block in profile.blocks}) != 1:
        raise DocumentError(f"{section.where}: blocks are of different numbers of layers; all must be of one model")
    return profile


def _block_times(section: Section) -> BlockTimes:
    made = BlockTimes(
        section.integer("batch_tiles", 1, _MOST),
        section.integer("threads", 1, _MOST),
        section.numbers("layer_s", SHORTEST_LAYER_S, LONGEST_LAYER_S),
    )
    section.refuse_unknown()
    return made


def _memory_point(section: Section) -> MemoryPoint:
    # A process that holds little may have needed less than the one it is compared with.
    made = MemoryPoint(section.integer("blocks", 0, _MOST), section.integer("bytes", -(2**62), 2**62))
    section.refuse_unknown()
    return made


def _memory_line(section: Section) -> MemoryLine:
    made = MemoryLine(
        section.number("overhead_bytes", -_LARGEST, _LARGEST),
        section.number("per_block_bytes", -_LARGEST, _LARGEST),
        section.number("worst_error_bytes", 0.0, _LARGEST),
    )
    section.refuse_unknown()
    return made


def _codecs(section: Section) -> dict[str, CodecCost]:
    made = {}
    for name in section.keys:
        cost = section.section(name)
        made[str(name)] = CodecCost(
            cost.number("encode_s_per_byte", 0.0, _LARGEST),
            cost.number("decode_s_per_byte", 0.0, _LARGEST),
            cost.number("ratio", 0.0, _LARGEST),
        )
        cost.refuse_unknown()
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
