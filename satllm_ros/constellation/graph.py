"""A constellation file to the processes, nodes and parameters of its graph; for the launch files and `satllm`."""

# long: to be split: the file, and the processes made from it

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from satllm_ros.compression.wire.setting import CodecSetting, CodecSettingError
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules, PixelRulesError
from satllm_ros.documents.section import DocumentError, Section
from satllm_ros.links.link_controllers import written_controllers
from satllm_ros.links.link_pairs import MAX_PROPAGATION_S, MAX_RATE_BPS, Pair, kind_of, pair_from, written
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.middleware.profile import Route, routes_of
from satllm_ros.orbit.document import read_budget, read_orbit
from satllm_ros.orbit.scenario import Orbit
from satllm_ros.report.figures.sample import DEFAULT

__all__ = [
    "Constellation",
    "DocumentError",
    "ProcessSpec",
    "SatelliteConfig",
    "SourceConfig",
    "link_rates",
    "load_constellation",
    "new_run_directory",
    "processes",
]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_TOPIC = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*\Z", re.ASCII)
_RESERVED = ("sensing", "planner", "link", "ground", "recorder")
_SENDING_NODES = {"sensing": "inbox/images", "compression": "inbox/activation", "downlink": "inbox/predictions"}
LINK_KINDS = ("upload", "isl", "s2g")


@dataclass(frozen=True)
class SatelliteConfig:
    """One satellite: parameters it may hold [byte], and seconds one tile takes in one block.

    `block_s` is imposed under emulation; with `external`, where another node runs the blocks, it is believed.
    `profile` is the file of what was measured of its device, on the planner's computer; empty if nothing was.
    """

    name: str
    memory_bytes: int
    block_s: float
    external: bool = False
    profile: str = ""


@dataclass(frozen=True)
class SourceConfig:
    """Where images come from: `kind` is bag, folder or topic; `image_topic` is one of the bag's, or the camera's.

    `rate` is the speed of a bag against its recorded times; 0: as fast as the chain takes it. `pixels` is what is
    stated about the images. With `recursive`, the folders in a folder are read too. `expected_images`
    is how many will be published on a topic, as by a bag that is played; 0: nobody knows.
    """

    kind: str
    path: str = ""
    image_topic: str = ""
    rate: float = 0.0
    pixels: PixelRules = AS_DECLARED
    recursive: bool = False
    expected_images: int = 0

    @property
    def is_endless(self) -> bool:
        """Whether only whoever started the graph ends it."""
        return self.kind == "topic" and not self.expected_images


@dataclass(frozen=True)
class Constellation:
    """A constellation file, checked.

    `public_key` is an Ed25519 key, 64 hexadecimal digits, and `private_key` the file of its other half, which the
    planner signs with; both are empty where plans are not signed. With `durable_custody`, batches outlive sensing.
    `calibration` is the file of what codec settings cost in accuracy, on the planner's computer, or empty.
    `links` are rates by kind, `link_pairs` those of single directed links, by (sender, receiver): see `link_rates`.
    """

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
    links: Mapping[str, LinkRates]
    public_key: str = ""
    private_key: str = ""
    durable_custody: bool = False
    calibration: str = ""
    link_pairs: Mapping[Pair, LinkRates] = field(default_factory=dict)
    orbit: Orbit | None = None

    @property
    def names(self) -> list[str]:
        return [satellite.name for satellite in self.satellites]

    @property
    def profiles(self) -> list[str]:
        """Profiles of the satellites' devices as the planner takes them, satellite=file."""
        return [f"{satellite.name}={satellite.profile}" for satellite in self.satellites if satellite.profile]


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
    without
        How the graph goes on when it has died, in words; empty if it cannot.
    needs_plan
        Whether that is true only once a plan is active.
    routes
        Real links that it sends batches on, for its Fast DDS profile; None where links are emulated.
    """

    name: str
    executable: str
    namespace: str
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required: bool = False
    without: str = ""
    needs_plan: bool = False
    routes: tuple[Route, ...] | None = None

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
    """Read and check a constellation file; `source` replaces the file's own, but for what is stated of its pixels.

    Raises
    ------
    OSError
        If the file cannot be read.
    DocumentError
        If it is not YAML, or a field is missing, unknown or out of range.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    top = Section(path.name, document)
    model, emulate, links = top.section("model"), top.section("emulate"), top.section("links")
    read_source, signing = top.section("source"), top.section("signing", {})
    own_source = SourceConfig(
        read_source.choice("kind", ("bag", "folder", "topic")),
        read_source.text("path", ""),
        read_source.text("image_topic", ""),
        read_source.number("rate", 0.0, 1e6, 0.0),
        _pixels(read_source),
        read_source.flag("recursive", False),
        read_source.integer("expected_images", 0, 2**31 - 1, 0),
    )
    source = replace(source, pixels=own_source.pixels) if source is not None else own_source
    if source.kind == "topic" and source.image_topic and not _TOPIC.match(source.image_topic):
        raise DocumentError(
            f"image topic {source.image_topic!r} is no name of a ROS topic; allowed are names like /camera/image_raw"
        )
    if source.kind != "topic" and not source.path:
        raise DocumentError(f"{read_source.where}: path is empty; a {source.kind} needs one")
    satellites = tuple(_satellite(s) for s in top.sections("satellites"))
    constellation = Constellation(
        checkpoint=model.text("checkpoint"),
        artefacts=model.text("artefacts"),
        source=source,
        batch_tiles=top.integer("batch_tiles", 1, 4096),
        window_batches=top.integer("window_batches", 1, 64),
        upload_encoding=top.choice("upload_encoding", ("jpeg", "rgb8")),
        codecs=tuple(_codec(top, setting) for setting in top.texts("codecs")),
        accuracy_floor=top.number("accuracy_floor", 0.0, 1.0),
        threads=top.integer("threads", 1, 256),
        emulate_compute=emulate.flag("compute"),
        emulate_links=emulate.flag("links"),
        satellites=satellites,
        links={kind: _link(links.section(kind)) for kind in LINK_KINDS},
        public_key=signing.text("public_key", ""),
        private_key=signing.text("private_key", ""),
        durable_custody=top.flag("durable_custody", False),
        calibration=model.text("calibration", ""),
        link_pairs=_link_pairs(links.section("pairs", {}), [satellite.name for satellite in satellites]),
        orbit=_orbit(top, document, path),
    )
    for section in (top, model, emulate, links, read_source, signing):
        section.refuse_unknown()
    if len(set(constellation.names)) != len(constellation.names):
        raise DocumentError(f"{path.name}: satellites have the same name twice: {', '.join(constellation.names)}")
    return constellation


def link_rates(constellation: Constellation, sender: str, receiver: str) -> LinkRates:
    """Rate and delay of a directed link: its own where the file gives it one, else those of its kind.

    Parameters
    ----------
    sender, receiver
        Names of satellites, `sensing` or `ground`.
    """
    own = constellation.link_pairs.get((sender, receiver))
    return constellation.links[kind_of(sender, receiver)] if own is None else own


def processes(
    constellation: Constellation,
    run_directory: Path,
    *,
    exit_when_done: bool,
    use_sim_time: bool = False,
    reference: int = DEFAULT,
) -> list[ProcessSpec]:
    """The processes of a graph, in starting order: satellites first, since importing torch takes longest.

    With `use_sim_time`, ROS time is what somebody publishes on /clock. `reference` is on how many tiles the unsplit
    model is run for comparison, as `report.figures.sample.parse_reference` gives it.
    """
    names = constellation.names
    model = {"checkpoint": constellation.checkpoint}
    coded = {"artefacts": constellation.artefacts}
    chain = {"satellites": names}
    tiles = {"batch_tiles": constellation.batch_tiles}
    source = {
        "source": constellation.source.kind,
        "path": constellation.source.path,
        "image_topic": constellation.source.image_topic,
        **_pixel_parameters(constellation.source.pixels),
        "recursive": constellation.source.recursive,
    }
    emulated = {"emulate_links": constellation.emulate_links}
    links: dict[str, Any] = {
        f"{kind}_{quantity}": float(getattr(link, quantity))
        for kind, link in constellation.links.items()
        for quantity in ("rate_bps", "propagation_s")
    }
    if constellation.link_pairs:
        # An empty list has no type in a ROS parameter file.
        links["link_pairs"] = written(constellation.link_pairs)
    directory = {"run_directory": str(run_directory)}
    state = {"state_directory": str(run_directory)}
    signed = {"plan_public_key": constellation.public_key}
    specs = [
        ProcessSpec(
            satellite.name,
            "satellite",
            satellite.name,
            {
                f"{satellite.name}/stage": model
                | coded
                | chain
                | tiles
                | signed
                | state
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
            without="the others go on without it",
        )
        for satellite in constellation.satellites
    ]
    if constellation.emulate_links:
        specs.append(ProcessSpec("link", "links", "", {"link": chain | links}))
    sensing = model | chain | emulated | tiles | source | signed | state
    sensing |= {"window_batches": constellation.window_batches, "upload_encoding": constellation.upload_encoding}
    sensing |= {"rate": constellation.source.rate, "durable": constellation.durable_custody}
    sensing |= {"expected_images": constellation.source.expected_images}
    planner = model | coded | chain | tiles | links | signed | state | {"signing_key": constellation.private_key}
    planner |= {"codecs": list(constellation.codecs), "accuracy_floor": constellation.accuracy_floor}
    planner |= {"calibration": constellation.calibration, "threads": constellation.threads}
    planner |= {"real_links": not constellation.emulate_links}
    if constellation.profiles:
        # As above.
        planner |= {"profiles": constellation.profiles}
    recorder = model | chain | tiles | source | signed | directory
    recorder |= {"exit_when_done": exit_when_done, "reference": reference}
    specs += [
        ProcessSpec(
            "planner",
            "planner",
            "",
            {"planner": planner},
            without="the graph flies on under the active plan",
            needs_plan=True,
        ),
        ProcessSpec("ground", "ground", "", {"ground": model | chain | directory, "recorder": recorder}, required=True),
        ProcessSpec("sensing", "sensing", "", {"sensing": sensing}),
    ]
    if not constellation.emulate_links:
        specs = [_over_real_links(spec, constellation) for spec in specs]
    return [_under_simulated_time(spec) for spec in specs] if use_sim_time else specs


def _over_real_links(spec: ProcessSpec, constellation: Constellation) -> ProcessSpec:
    """A process with the links that it sends on, each node with those of its batches; nobody serves types."""
    routes = routes_of(spec.name, constellation.names, lambda *pair: link_rates(constellation, *pair))
    parameters = {node: {**given, "start_type_description_service": False} for node, given in spec.parameters.items()}
    for node, kind in _SENDING_NODES.items():
        name = f"{spec.namespace}/{node}".strip("/")
        # A list that is empty has no type in a ROS parameter file.
        if links := {r.receiver: r.link for r in routes if any(inbox.endswith(kind) for inbox in r.inboxes)}:
            if name in parameters:
                parameters[name]["link_controllers"] = written_controllers(links)
    return replace(spec, parameters=parameters, routes=tuple(routes))


def _under_simulated_time(spec: ProcessSpec) -> ProcessSpec:
    return replace(spec, parameters={n: {**p, "use_sim_time": True} for n, p in spec.parameters.items()})


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


def _orbit(top: Section, document: dict[str, Any], path: Path) -> Orbit | None:
    """What the file says of an orbit, all of it checked; None if it has none."""
    if top.value("orbit") is None:
        if stray := [key for key in ("sites", "budget") if top.value(key) is not None]:
            raise DocumentError(f"{path.name}: {stray[0]} is there without an orbit; an orbit section is needed")
        return None
    if top.value("budget") is not None:
        read_budget(document, path.name)
    top.value("sites")
    return read_orbit(document, path.parent, path.name)


def _satellite(section: Section) -> SatelliteConfig:
    name = section.text("name")
    if not _NAME.match(name) or name in _RESERVED:
        raise DocumentError(
            f"{section.where}.name is {name!r}; allowed are letters, digits and _, but not {', '.join(_RESERVED)}"
        )
    made = SatelliteConfig(
        name,
        section.integer("memory_bytes", 1, 2**62),
        section.number("block_s", 0.0, 1e6),
        section.flag("external", False),
        section.text("profile", ""),
    )
    # Read by `orbit.document`, against the size of the constellation.
    section.value("slot")
    if made.external and made.profile:
        raise DocumentError(f"{section.where}: profile is {made.profile!r}, but with external block_s is believed")
    section.refuse_unknown()
    return made


def _codec(section: Section, setting: str) -> str:
    try:
        CodecSetting.parse(setting)
    except CodecSettingError as error:
        raise DocumentError(f"{section.where}: codecs: {error}") from None
    return setting


def _pixels(section: Section) -> PixelRules:
    bands, scale, resize = (section.value(key) for key in ("bands", "pixel_scale", "resize"))
    try:
        return PixelRules(tuple(bands) if isinstance(bands, list) else bands, scale, resize)
    except PixelRulesError as error:
        raise DocumentError(f"{section.where}: {error}") from None


def _pixel_parameters(rules: PixelRules) -> dict[str, Any]:
    return {
        "bands": ",".join(map(str, rules.bands or ())),
        "pixel_scale": float(rules.pixel_scale or 0.0),
        "resize": rules.resize or 0,
    }


def _link(section: Section) -> LinkRates:
    rate_bps = section.number("rate_bps", 1.0, MAX_RATE_BPS)
    made = LinkRates(rate_bps, section.number("propagation_s", 0.0, MAX_PROPAGATION_S))
    section.refuse_unknown()
    return made


def _link_pairs(section: Section, satellites: list[str]) -> dict[Pair, LinkRates]:
    made = {}
    for name in section.keys:
        try:
            pair = pair_from(name, satellites)
        except ValueError as error:
            raise DocumentError(f"{section.where}: {error}") from None
        made[pair] = _link(section.section(name))
    return made
