"""A constellation file to the processes, nodes and parameters of its graph; for the launch files and `satllm`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_RESERVED = ("sensing", "planner", "link", "ground", "recorder")
LINK_KINDS = ("upload", "isl", "s2g")


class ConstellationError(ValueError):
    """A constellation file that cannot fly; the message names the field."""


@dataclass(frozen=True)
class SatelliteConfig:
    """One satellite: parameters it may hold [byte], and seconds one tile takes in one block.

    `block_s` is imposed under emulation; with `external`, where another node runs the blocks, it is believed.
    """

    name: str
    memory_bytes: int
    block_s: float
    external: bool = False


@dataclass(frozen=True)
class LinkConfig:
    rate_bps: float
    propagation_s: float


@dataclass(frozen=True)
class SourceConfig:
    """Where images come from: `kind` is bag, folder or topic; `image_topic` chooses inside a bag."""

    kind: str
    path: str = ""
    image_topic: str = ""


@dataclass(frozen=True)
class Constellation:
    """A constellation file, checked."""

    checkpoint: str
    artefacts: str
    source: SourceConfig
    batch_tiles: int
    window_batches: int
    upload_encoding: str
    codecs: tuple[str, ...]
    accuracy_floor: float
    threads: int
    emulate_compute: bool
    emulate_links: bool
    satellites: tuple[SatelliteConfig, ...]
    links: Mapping[str, LinkConfig]

    @property
    def names(self) -> list[str]:
        return [satellite.name for satellite in self.satellites]


@dataclass(frozen=True)
class ProcessSpec:
    """One process of the graph.

    Attributes
    ----------
    name
        What logs call it.
    executable
        Name for `ros2 run satllm_ros`; the module is `satllm_ros.nodes.<executable>`.
    namespace
        Below the root; empty for the root itself.
    parameters
        By node name relative to the root, e.g. "sat1/compression".
    required
        Whether the graph ends with it.
    """

    name: str
    executable: str
    namespace: str
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required: bool = False

    def write_parameters(self, run_directory: Path, root: str) -> Path:
        """Write the ROS parameter file (YAML) with full node names, as a process of several nodes needs."""
        prefix = "/" + root.strip("/") if root.strip("/") else ""
        document = {f"{prefix}/{n}": {"ros__parameters": dict(p)} for n, p in self.parameters.items()}
        path = run_directory / "parameters" / f"{self.name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.dump(document, Dumper=_PlainDumper), encoding="utf-8")
        return path


class _PlainDumper(yaml.SafeDumper):
    """Writes what rcl's parser reads as meant: no aliases, which it refuses, and every string in quotes.

    PyYAML writes an alias for a list that occurs twice, and rcl takes more bare words for numbers than PyYAML does.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True


_PlainDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def load_constellation(path: Path, *, source: SourceConfig | None = None) -> Constellation:
    """Read and check a constellation file; `source` replaces the file's own.

    Raises
    ------
    OSError
        If the file cannot be read.
    ConstellationError
        If it is not YAML, or a field is missing, unknown or out of range.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConstellationError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    top = _Section(path.name, document)
    model, emulate, links = top.section("model"), top.section("emulate"), top.section("links")
    read_source = top.section("source")
    own_source = SourceConfig(
        read_source.choice("kind", ("bag", "folder", "topic")),
        read_source.text("path", ""),
        read_source.text("image_topic", ""),
    )
    source = source or own_source
    if source.kind != "topic" and not source.path:
        raise ConstellationError(f"{read_source.where}: path is empty; a {source.kind} needs one")
    constellation = Constellation(
        checkpoint=model.text("checkpoint"),
        artefacts=model.text("artefacts"),
        source=source,
        batch_tiles=top.integer("batch_tiles", 1, 4096),
        window_batches=top.integer("window_batches", 1, 64),
        upload_encoding=top.choice("upload_encoding", ("jpeg", "rgb8")),
        codecs=tuple(top.texts("codecs")),
        accuracy_floor=top.number("accuracy_floor", 0.0, 1.0),
        threads=top.integer("threads", 1, 256),
        emulate_compute=emulate.flag("compute"),
        emulate_links=emulate.flag("links"),
        satellites=tuple(_satellite(s) for s in top.sections("satellites")),
        links={kind: _link(links.section(kind)) for kind in LINK_KINDS},
    )
    for section in (top, model, emulate, links, read_source):
        section.refuse_unknown()
    if len(set(constellation.names)) != len(constellation.names):
        raise ConstellationError(f"{path.name}: satellites have the same name twice: {', '.join(constellation.names)}")
    return constellation


def processes(constellation: Constellation, run_directory: Path, *, exit_when_done: bool) -> list[ProcessSpec]:
    """The processes of a graph, in starting order: satellites first, since importing torch takes longest."""
    names = constellation.names
    model = {"checkpoint": constellation.checkpoint}
    coded = {"artefacts": constellation.artefacts}
    chain = {"satellites": names}
    tiles = {"batch_tiles": constellation.batch_tiles}
    source = {
        "source": constellation.source.kind,
        "path": constellation.source.path,
        "image_topic": constellation.source.image_topic,
    }
    emulated = {"emulate_links": constellation.emulate_links}
    links = {
        f"{kind}_{quantity}": float(getattr(link, quantity))
        for kind, link in constellation.links.items()
        for quantity in ("rate_bps", "propagation_s")
    }
    directory = {"run_directory": str(run_directory)}
    specs = [
        ProcessSpec(
            satellite.name,
            "satellite",
            satellite.name,
            {
                f"{satellite.name}/stage": model
                | chain
                | {
                    "memory_budget_bytes": satellite.memory_bytes,
                    "threads": constellation.threads,
                    "external": satellite.external,
                    "emulate": constellation.emulate_compute and not satellite.external,
                    "block_s": satellite.block_s,
                },
                f"{satellite.name}/compression": coded | chain | emulated | tiles,
                f"{satellite.name}/downlink": chain | emulated | {"store_directory": str(run_directory)},
            },
        )
        for satellite in constellation.satellites
    ]
    if constellation.emulate_links:
        specs.append(ProcessSpec("link", "links", "", {"link": chain | links}))
    sensing = model | chain | emulated | tiles | source
    sensing |= {"window_batches": constellation.window_batches, "upload_encoding": constellation.upload_encoding}
    planner = model | coded | chain | tiles | links
    planner |= {"codecs": list(constellation.codecs), "accuracy_floor": constellation.accuracy_floor}
    recorder = model | chain | tiles | source | directory | {"exit_when_done": exit_when_done}
    specs += [
        ProcessSpec("planner", "planner", "", {"planner": planner}),
        ProcessSpec("ground", "ground", "", {"ground": directory, "recorder": recorder}, required=True),
        ProcessSpec("sensing", "sensing", "", {"sensing": sensing}),
    ]
    return specs


def new_run_directory(runs: Path) -> Path:
    """Make `runs/<time>/` and point `runs/latest` to it."""
    stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    runs.mkdir(parents=True, exist_ok=True)
    for name in itertools.chain([stamp], (f"{stamp}-{n}" for n in itertools.count(2))):
        try:
            (runs / name).mkdir()
        except FileExistsError:
            continue
        break
    latest = runs / "latest"
    if latest.is_symlink() or not latest.exists():
        # Renamed into place, since another run may start at the same moment.
        link = runs / f".latest-{name}"
        link.symlink_to(name)
        link.replace(latest)
    return runs / name


def _satellite(section: _Section) -> SatelliteConfig:
    name = section.text("name")
    if not _NAME.match(name) or name in _RESERVED:
        raise ConstellationError(
            f"{section.where}.name is {name!r}; allowed are letters, digits and _, but not {', '.join(_RESERVED)}"
        )
    made = SatelliteConfig(
        name,
        section.integer("memory_bytes", 1, 2**62),
        section.number("block_s", 0.0, 1e6),
        section.flag("external", False),
    )
    section.refuse_unknown()
    return made


def _link(section: _Section) -> LinkConfig:
    made = LinkConfig(section.number("rate_bps", 1.0, 1e15), section.number("propagation_s", 0.0, 60.0))
    section.refuse_unknown()
    return made


class _Section:
    """One mapping of the file; every getter names the field it complains about."""

    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise ConstellationError(f"{where} is {type(value).__name__}; a mapping is needed")
        self.where = where
        self._value = value
        self._read: set[str] = set()

    def section(self, key: str) -> _Section:
        return _Section(f"{self.where}: {key}", self._get(key))

    def sections(self, key: str) -> list[_Section]:
        value = self._get(key)
        if not isinstance(value, list) or not value:
            raise ConstellationError(f"{self.where}: {key} is {value!r}; a list of at least one is needed")
        return [_Section(f"{self.where}: {key}[{i}]", item) for i, item in enumerate(value)]

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str):
            raise ConstellationError(f"{self.where}: {key} is {value!r}; a string is needed")
        return value

    def texts(self, key: str) -> list[str]:
        value = self._get(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise ConstellationError(f"{self.where}: {key} is {value!r}; a list of strings is needed")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self._get(key)
        if value not in allowed:
            raise ConstellationError(f"{self.where}: {key} is {value!r}; allowed are {', '.join(allowed)}")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise ConstellationError(f"{self.where}: {key} is {value!r}; true or false is needed")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ConstellationError(f"{self.where}: {key} is {value!r}; a number from {low:g} to {high:g} is needed")
        return float(value)

    def integer(self, key: str, low: int, high: int) -> int:
        value = self.number(key, low, high)
        if value != int(value):
            raise ConstellationError(f"{self.where}: {key} is {value!r}; a whole number is needed")
        return int(value)

    def refuse_unknown(self) -> None:
        unknown = sorted(set(self._value) - self._read, key=str)
        if unknown:
            raise ConstellationError(
                f"{self.where}: unknown field {unknown[0]!r}; known are {', '.join(sorted(self._read))}"
            )

    def _get(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        if key not in self._value:
            if default is None:
                raise ConstellationError(f"{self.where}: {key} is missing")
            return default
        return self._value[key]
