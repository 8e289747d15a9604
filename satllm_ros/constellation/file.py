"""A constellation file, read and checked: what flies, from where, over which links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from satllm_ros.compression.wire.setting import CodecSetting, CodecSettingError
from satllm_ros.constellation.contacts import contacts_of
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules, PixelRulesError
from satllm_ros.documents.section import DocumentError, Section
from satllm_ros.documents.yaml_file import read_yaml
from satllm_ros.interfaces import (
    LINK_KINDS,
    MAX_BAG_SPEED,
    MAX_BATCH_TILES,
    MAX_BLOCK_S,
    MAX_CREDITS,
    MAX_THREADS,
    MAX_WHOLE,
    SOURCE_KINDS,
    UPLOAD_ENCODINGS,
)
from satllm_ros.links.contact_schedule import first_rates
from satllm_ros.links.link_pairs import MAX_PROPAGATION_S, MAX_RATE_BPS, Pair, all_pairs, kind_of, pair_from
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.model.engines.choice import EngineRequest
from satllm_ros.model.errors import ModelError
from satllm_ros.orbit.contact_plan import Contact
from satllm_ros.orbit.document import MAX_SATELLITES, Budget, read_budget, read_orbit
from satllm_ros.orbit.scenario import Orbit

__all__ = ["Constellation", "SatelliteConfig", "SourceConfig", "link_rates", "load_constellation"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_TOPIC = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*\Z", re.ASCII)
_RESERVED = ("sensing", "planner", "link", "ground", "recorder", "orbit_clock")


@dataclass(frozen=True)
class SatelliteConfig:
    """One satellite: parameters it may hold [byte], and seconds one tile takes in one block.

    `block_s` is imposed under emulation; with `external`, where another node runs the blocks, it is believed.
    `profile` is the file of what was measured of its device, on the planner's computer; empty if nothing was.
    `engine` is what shall compute, unless another node does.
    """

    name: str
    memory_bytes: int
    block_s: float
    external: bool = False
    profile: str = ""
    engine: EngineRequest = field(default_factory=EngineRequest)


@dataclass(frozen=True)
class SourceConfig:
    """Where images come from: `kind` is bag, folder or topic; `image_topic` is one of the bag's, or the camera's.

    `rate` is the speed of a bag against its recorded times; 0: as fast as the chain takes it. `pixels` is what is
    stated about the images. With `recursive`, the folders in a folder are read too. `expected_images`
    is how many will be published on a topic, as by a bag that is played; 0: nobody knows. `slot` is the satellite of
    the constellation that senses, where the file has an orbit.
    """

    kind: str
    path: str = ""
    image_topic: str = ""
    rate: float = 0.0
    pixels: PixelRules = AS_DECLARED
    recursive: bool = False
    expected_images: int = 0
    slot: int = 0

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
    `bundle` is the folder of the model's ONNX graphs on every satellite's computer; empty: beside the checkpoint.
    `links` are rates by kind, `link_pairs` those of single directed links, by (sender, receiver): see `link_rates`.
    With `contacts`, links are emulated and open as the orbit says: `link_pairs` are then those of first contacts.
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
    bundle: str = ""
    contacts: tuple[Contact, ...] = ()

    @property
    def flown_orbit(self) -> Orbit | None:
        """The orbit that links open and close with, if they do: real ones do so by themselves."""
        return self.orbit if self.emulate_links else None

    @property
    def names(self) -> list[str]:
        return [satellite.name for satellite in self.satellites]

    @property
    def profiles(self) -> list[str]:
        """Profiles of the satellites' devices as the planner takes them, satellite=file."""
        return [f"{satellite.name}={satellite.profile}" for satellite in self.satellites if satellite.profile]


def load_constellation(path: Path, *, source: SourceConfig | None = None) -> Constellation:
    """Read and check a constellation file; `source` replaces the file's own, but for what is stated of its pixels.

    Raises
    ------
    OSError
        If the file cannot be read.
    DocumentError
        If it is not YAML, or a field is missing, unknown or out of range.
    """
    document = read_yaml(path)
    top = Section(path.name, document)
    model, emulate, links = top.section("model"), top.section("emulate"), top.section("links")
    read_source, signing = top.section("source"), top.section("signing", {})
    own_source = SourceConfig(
        read_source.choice("kind", SOURCE_KINDS),
        read_source.text("path", ""),
        read_source.text("image_topic", ""),
        read_source.number("rate", 0.0, MAX_BAG_SPEED, 0.0),
        _pixels(read_source),
        read_source.flag("recursive", False),
        read_source.integer("expected_images", 0, 2**31 - 1, 0),
        read_source.integer("slot", 0, MAX_SATELLITES - 1, 0),
    )
    source = replace(source or own_source, pixels=own_source.pixels, slot=own_source.slot)
    if source.kind == "topic" and source.image_topic and not _TOPIC.match(source.image_topic):
        raise DocumentError(
            f"image topic {source.image_topic!r} is no name of a ROS topic; allowed are names like /camera/image_raw"
        )
    if source.kind != "topic" and not source.path:
        raise DocumentError(f"{read_source.where}: path is empty; a {source.kind} needs one")
    engine = _engine(top, EngineRequest())
    satellites = tuple(_satellite(s, engine) for s in top.sections("satellites"))
    orbit, budget = _orbit(top, document, path)
    constellation = Constellation(
        checkpoint=model.text("checkpoint"),
        artefacts=model.text("artefacts"),
        source=source,
        batch_tiles=top.integer("batch_tiles", 1, MAX_BATCH_TILES),
        window_batches=top.integer("window_batches", 1, MAX_CREDITS),
        upload_encoding=top.choice("upload_encoding", UPLOAD_ENCODINGS),
        codecs=tuple(_codec(top, setting) for setting in top.texts("codecs")),
        accuracy_floor=top.number("accuracy_floor", 0.0, 1.0),
        threads=top.integer("threads", 1, MAX_THREADS),
        emulate_compute=emulate.flag("compute"),
        emulate_links=emulate.flag("links"),
        satellites=satellites,
        links={kind: _link(links.section(kind)) for kind in LINK_KINDS},
        public_key=signing.text("public_key", ""),
        private_key=signing.text("private_key", ""),
        durable_custody=top.flag("durable_custody", False),
        calibration=model.text("calibration", ""),
        link_pairs=_link_pairs(links.section("pairs", {}), [satellite.name for satellite in satellites]),
        orbit=orbit,
        bundle=model.text("bundle", ""),
    )
    for section in (top, model, emulate, links, read_source, signing):
        section.refuse_unknown()
    if len(set(constellation.names)) != len(constellation.names):
        raise DocumentError(f"{path.name}: satellites have the same name twice: {', '.join(constellation.names)}")
    return _with_contacts(constellation, budget)


def link_rates(constellation: Constellation, sender: str, receiver: str) -> LinkRates:
    """Rate and delay of a directed link: its own where the file gives it one, else those of its kind.

    Parameters
    ----------
    sender, receiver
        Names of satellites, `sensing` or `ground`.
    """
    own = constellation.link_pairs.get((sender, receiver))
    return constellation.links[kind_of(sender, receiver)] if own is None else own


def _with_contacts(constellation: Constellation, budget: Budget | None) -> Constellation:
    """The same with the contacts that its orbit makes, if links follow one."""
    orbit = constellation.flown_orbit
    if orbit is None:
        return constellation
    contacts = contacts_of(
        orbit,
        budget,
        constellation.names,
        constellation.source.slot,
        lambda *pair: link_rates(constellation, *pair).rate_bps,
        constellation.link_pairs.keys(),
    )
    first = first_rates(contacts, all_pairs(constellation.names), orbit.speed)
    return replace(constellation, contacts=contacts, link_pairs=first)


def _orbit(top: Section, document: dict[str, Any], path: Path) -> tuple[Orbit | None, Budget | None]:
    """What the file says of an orbit and of budgets, all of it checked; None of what it says nothing of."""
    budget = read_budget(document, path.name) if top.value("budget") is not None else None
    has_sites = top.value("sites") is not None
    if top.value("orbit") is None:
        if has_sites:
            raise DocumentError(f"{path.name}: sites are there without an orbit; an orbit section is needed")
        return None, budget
    return read_orbit(document, path.parent, path.name), budget


def _engine(owner: Section, default: EngineRequest) -> EngineRequest:
    """What a section says of its engine; what it leaves out is as elsewhere."""
    section = owner.section("engine", {})
    words = (section.text(each.name, getattr(default, each.name)) for each in fields(EngineRequest))
    try:
        request = EngineRequest(*words)
    except ModelError as error:
        raise DocumentError(f"{section.where}: {error}") from None
    section.refuse_unknown()
    return request


def _satellite(section: Section, engine: EngineRequest) -> SatelliteConfig:
    name = section.text("name")
    if not _NAME.match(name) or name in _RESERVED:
        raise DocumentError(
            f"{section.where}.name is {name!r}; allowed are letters, digits and _, but not {', '.join(_RESERVED)}"
        )
    made = SatelliteConfig(
        name,
        section.integer("memory_bytes", 1, MAX_WHOLE),
        section.number("block_s", 0.0, MAX_BLOCK_S),
        section.flag("external", False),
        section.text("profile", ""),
        _engine(section, engine),
    )
    # Read by `orbit.document`, against the size of the constellation.
    section.value("slot")
    if made.external and made.profile:
        raise DocumentError(f"{section.where}: profile is {made.profile!r}, but with external block_s is believed")
    if made.external and section.value("engine") is not None:
        raise DocumentError(f"{section.where}: engine is there, but with external another node computes")
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
