"""Everything about a constellation that can be refused before a process is started."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.acquisition.flight_pixels import pixels_in_flight
from satllm_ros.assets.paths import artefacts_path, bag_path, checkpoint_path
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.constellation.contacts import check_way_down
from satllm_ros.constellation.file import Constellation
from satllm_ros.data.folder import list_folder
from satllm_ros.data.rosbag.bag import count_messages, image_topic
from satllm_ros.interfaces import SENSING
from satllm_ros.links.link_pairs import with_unnamed_ends
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.model.spec import read_spec
from satllm_ros.planning.patience import too_long, too_slow
from satllm_ros.planning.problem.problem import Link
from satllm_ros.planning.problem.solution import Infeasible
from satllm_ros.profiling.planner_inputs import read_inputs
from satllm_ros.replanning.flight import FlightFacts, LinkFacts, SatelliteFacts
from satllm_ros.replanning.selection import best_selection
from satllm_ros.signing.signing import parse_public_key


class NoPlanError(ValueError):
    """No split of the model over these satellites exists; the message gives the reasons."""


def check(constellation: Constellation, *, source_is_here: bool = True, planner_is_here: bool = True) -> None:
    """Check files, input and feasibility; the input, and what was measured, only where it is on this computer.

    Raises
    ------
    OSError, ValueError
        With a sentence that names the file or field at fault.
    NoPlanError
        If no plan exists; memory and the number of blocks are the usual causes.
    """
    parse_public_key(constellation.public_key)
    if (orbit := constellation.flown_orbit) is not None:
        check_way_down(constellation.contacts, orbit.duration_s)
    spec = read_spec(checkpoint_path(constellation.checkpoint))
    artefacts = load_artefacts(artefacts_path(constellation.artefacts), model_id=spec.model_id)
    pixels_in_flight(constellation.source.pixels, spec)
    if source_is_here:
        _check_source(constellation)
    inputs = read_inputs(
        spec,
        artefacts,
        constellation.codecs,
        satellites=constellation.names,
        profiles=constellation.profiles if planner_is_here else (),
        calibration=constellation.calibration if planner_is_here else "",
    )
    upload, isl, s2g = (_link(constellation.links[kind]) for kind in ("upload", "isl", "s2g"))
    stated = {pair: _link(rates) for pair, rates in constellation.link_pairs.items()}
    facts = FlightFacts(
        spec=spec,
        batches=1,
        batch_tiles=constellation.batch_tiles,
        upload_tile_bytes=0.0,
        satellites=[SatelliteFacts(s.name, s.block_s, s.memory_bytes) for s in constellation.satellites],
        links=LinkFacts(upload, isl, s2g, stated=with_unnamed_ends(stated)),
        settings=inputs.settings,
        accuracy_floor=constellation.accuracy_floor,
        real_links=not constellation.emulate_links,
    )
    _, outcome = best_selection(facts)
    if isinstance(outcome, Infeasible):
        raise NoPlanError("; ".join(f"{r.sentence}; nearest change: {r.relaxation}" for r in outcome.reasons))
    slow = too_slow(outcome, constellation.batch_tiles)
    if facts.real_links:
        # How long JPEG makes a tile shows in flight.
        is_known = constellation.upload_encoding == "rgb8"
        slow += too_long(outcome, constellation.batch_tiles, source=SENSING, upload_is_known=is_known)
    if slow:
        raise NoPlanError("; ".join(slow))


def _link(rates: LinkRates) -> Link:
    return Link(rates.rate_bps, rates.propagation_s)


def _check_source(constellation: Constellation) -> None:
    source = constellation.source
    if source.kind == "bag":
        path = bag_path(source.path)
        topic = image_topic(path, source.image_topic or None)
        if count_messages(path, topic) == 0:
            raise ValueError(f"topic {topic} of bag {path} has no images")
    elif source.kind == "folder":
        list_folder(Path(source.path), recursive=source.recursive)
