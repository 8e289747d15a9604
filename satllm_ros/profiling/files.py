"""Measured inputs of the planner as files: YAML that a human can read, for one model on one device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

FORMAT = "satllm-profile"
VERSION = 1


class ProfileError(ValueError):
    """A file of measurements that is damaged, or of something else."""


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
    ProfileError
        If it is no profile, or of another model or device.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ProfileError(f"{path} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict) or (document.get("format"), document.get("version")) != (FORMAT, VERSION):
        raise ProfileError(f"{path} holds no profile of version {VERSION}")
    try:
        profile = _profile(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ProfileError(f"{path} is damaged: {type(error).__name__} {error}") from None
    for what, wanted, found in (("model", model_id, profile.model_id), ("device", device, profile.device)):
        if wanted is not None and wanted != found:
            raise ProfileError(f"{path} is of {what} {found!r}, needed is {wanted!r}")
    return profile


def _profile(document: dict[str, Any]) -> Profile:
    if datetime.fromisoformat(document["measured_at"]).tzinfo is None:
        raise ValueError("measured_at has no time zone")
    blocks = tuple(
        BlockTimes(
            _positive(int(b["batch_tiles"])), _positive(int(b["threads"])), tuple(_time(s) for s in b["layer_s"])
        )
        for b in document["blocks"]
    )
    if not blocks or len({len(b.layer_s) for b in blocks}) != 1 or not blocks[0].layer_s:
        raise ValueError("blocks must hold measurements of equally many layers")
    line = document.get("memory_line")
    return Profile(
        model_id=str(document["model_id"]),
        device=str(document["device"]),
        measured_at=document["measured_at"],
        blocks=blocks,
        memory=tuple(MemoryPoint(int(p["blocks"]), int(p["bytes"])) for p in document.get("memory") or ()),
        memory_line=None if line is None else MemoryLine(**{key: float(value) for key, value in line.items()}),
        codecs={
            str(name): CodecCost(**{key: _time(value) for key, value in cost.items()})
            for name, cost in (document.get("codecs") or {}).items()
        },
    )


def _time(value: Any) -> float:
    seconds = float(value)
    if not 0.0 <= seconds < math.inf:
        raise ValueError(f"{value} where a finite figure from 0 on is needed")
    return seconds


def _positive(count: int) -> int:
    if count < 1:
        raise ValueError(f"{count} where at least 1 is needed")
    return count


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
