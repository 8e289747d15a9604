"""The processes of a constellation: what runs, with which nodes and parameters; for the launch files and `satllm`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from satllm_ros.constellation.file import Constellation, SatelliteConfig, link_rates
from satllm_ros.links.link_controllers import written_controllers
from satllm_ros.links.link_pairs import written
from satllm_ros.middleware.profile import Route, routes_of
from satllm_ros.orbit.contact_plan import write_plan
from satllm_ros.report.figures.sample import DEFAULT

CONTACT_PLAN = "contact_plan.csv"
_SENDING_NODES = {"sensing": "inbox/images", "compression": "inbox/activation", "downlink": "inbox/predictions"}


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


def processes(
    constellation: Constellation,
    run_directory: Path,
    *,
    exit_when_done: bool,
    use_sim_time: bool = False,
    reference: int = DEFAULT,
) -> list[ProcessSpec]:
    """The processes of a graph, in starting order: satellites first, since importing torch takes longest.

    With `use_sim_time`, ROS time is what somebody publishes on /clock; where links follow an orbit, a process of the
    graph does. `reference` is on how many tiles the unsplit model is run for comparison, as
    `report.figures.sample.parse_reference` gives it.

    Raises
    ------
    ValueError
        If there would be two clocks.
    """
    if constellation.flown_orbit is not None and use_sim_time:
        raise ValueError(
            "the file has an orbit, which gives the graph its clock: it takes no other, so leave simulated time away"
        )
    specs = [_satellite(constellation, satellite, run_directory) for satellite in constellation.satellites]
    if constellation.emulate_links:
        link = {"satellites": constellation.names, **_links(constellation), **_contacts(constellation, run_directory)}
        specs.append(ProcessSpec("link", "links", "", {"link": link}))
    specs += [
        _planner(constellation, run_directory),
        _ground(constellation, run_directory, exit_when_done=exit_when_done, reference=reference),
        _sensing(constellation, run_directory),
    ]
    if not constellation.emulate_links:
        specs = [_over_real_links(spec, constellation) for spec in specs]
    if not use_sim_time and constellation.flown_orbit is None:
        return specs
    return [*map(_under_simulated_time, specs), *_clock(constellation, run_directory)]


def write_contacts(constellation: Constellation, run_directory: Path) -> None:
    """Write the contact plan into the run's folder, where the link node reads it; without an orbit there is none.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if constellation.flown_orbit is not None:
        write_plan(run_directory / CONTACT_PLAN, constellation.contacts)


# One process each


def _satellite(constellation: Constellation, satellite: SatelliteConfig, run_directory: Path) -> ProcessSpec:
    stage = {
        "checkpoint": constellation.checkpoint,
        "artefacts": constellation.artefacts,
        "satellites": constellation.names,
        "batch_tiles": constellation.batch_tiles,
        "plan_public_key": constellation.public_key,
        "state_directory": str(run_directory),
        "memory_budget_bytes": satellite.memory_bytes,
        "threads": constellation.threads,
        "engine": satellite.engine.kind,
        "engine_device": satellite.engine.device,
        "engine_precision": satellite.engine.precision,
        "bundle": constellation.bundle,
        "external": satellite.external,
        "emulate": constellation.emulate_compute and not satellite.external,
        "block_s": satellite.block_s,
    }
    compression = {
        "artefacts": constellation.artefacts,
        "satellites": constellation.names,
        "emulate_links": constellation.emulate_links,
        "batch_tiles": constellation.batch_tiles,
    }
    downlink = {
        "satellites": constellation.names,
        "emulate_links": constellation.emulate_links,
        "store_directory": str(run_directory),
    }
    return ProcessSpec(
        satellite.name,
        "satellite",
        satellite.name,
        {
            f"{satellite.name}/stage": stage,
            f"{satellite.name}/compression": compression,
            f"{satellite.name}/downlink": downlink,
        },
        without="the others go on without it",
    )


def _planner(constellation: Constellation, run_directory: Path) -> ProcessSpec:
    planner = {
        "checkpoint": constellation.checkpoint,
        "artefacts": constellation.artefacts,
        "satellites": constellation.names,
        "batch_tiles": constellation.batch_tiles,
        **_links(constellation),
        "plan_public_key": constellation.public_key,
        "state_directory": str(run_directory),
        "signing_key": constellation.private_key,
        "codecs": list(constellation.codecs),
        "accuracy_floor": constellation.accuracy_floor,
        "calibration": constellation.calibration,
        "threads": constellation.threads,
        "real_links": not constellation.emulate_links,
    }
    if constellation.profiles:
        # An empty list has no type in a ROS parameter file.
        planner["profiles"] = constellation.profiles
    return ProcessSpec(
        "planner",
        "planner",
        "",
        {"planner": planner},
        without="the graph flies on under the active plan",
        needs_plan=True,
    )


def _ground(constellation: Constellation, run_directory: Path, *, exit_when_done: bool, reference: int) -> ProcessSpec:
    ground = {
        "checkpoint": constellation.checkpoint,
        "satellites": constellation.names,
        "run_directory": str(run_directory),
    }
    recorder = {
        "checkpoint": constellation.checkpoint,
        "satellites": constellation.names,
        "batch_tiles": constellation.batch_tiles,
        **_source(constellation),
        "plan_public_key": constellation.public_key,
        "run_directory": str(run_directory),
        "exit_when_done": exit_when_done,
        "reference": reference,
    }
    return ProcessSpec("ground", "ground", "", {"ground": ground, "recorder": recorder}, required=True)


def _sensing(constellation: Constellation, run_directory: Path) -> ProcessSpec:
    sensing = {
        "checkpoint": constellation.checkpoint,
        "satellites": constellation.names,
        "emulate_links": constellation.emulate_links,
        "batch_tiles": constellation.batch_tiles,
        **_source(constellation),
        "rate": constellation.source.rate,
        "expected_images": constellation.source.expected_images,
        "plan_public_key": constellation.public_key,
        "state_directory": str(run_directory),
        "window_batches": constellation.window_batches,
        "upload_encoding": constellation.upload_encoding,
        "durable": constellation.durable_custody,
    }
    return ProcessSpec("sensing", "sensing", "", {"sensing": sensing})


def _source(constellation: Constellation) -> dict[str, Any]:
    """Where images are read, as all know it who read them."""
    source = constellation.source
    return {
        "source": source.kind,
        "path": source.path,
        "image_topic": source.image_topic,
        "bands": ",".join(map(str, source.pixels.bands or ())),
        "pixel_scale": float(source.pixels.pixel_scale or 0.0),
        "resize": source.pixels.resize or 0,
        "recursive": source.recursive,
    }


def _links(constellation: Constellation) -> dict[str, Any]:
    """Rates and delays, as all know them who reckon with them."""
    links: dict[str, Any] = {}
    for kind, link in constellation.links.items():
        links[f"{kind}_rate_bps"] = float(link.rate_bps)
        links[f"{kind}_propagation_s"] = float(link.propagation_s)
    if constellation.link_pairs:
        # An empty list has no type in a ROS parameter file.
        links["link_pairs"] = written(constellation.link_pairs)
    return links


def _contacts(constellation: Constellation, run_directory: Path) -> dict[str, Any]:
    """What links follow, if they follow an orbit."""
    orbit = constellation.flown_orbit
    if orbit is None:
        return {}
    return {
        "contact_plan": str(run_directory / CONTACT_PLAN),
        "contact_epoch": orbit.epoch.timestamp(),
        "speed": orbit.speed,
    }


def _clock(constellation: Constellation, run_directory: Path) -> list[ProcessSpec]:
    """The graph's own clock, if it has one."""
    orbit = constellation.flown_orbit
    if orbit is None:
        return []
    clock = {"epoch": orbit.epoch.timestamp(), "speed": orbit.speed, "state_directory": str(run_directory)}
    return [ProcessSpec("orbit_clock", "orbit_clock", "", {"orbit_clock": clock})]


# What holds for all of them


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
