"""From what is known in flight (model, satellites, links, codec settings) to a planning problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from satllm_ros.links.real_links import goodput_bps
from satllm_ros.model.spec import ModelSpec
from satllm_ros.planning.problem.problem import Compression, Link, Model, Problem, Satellite, Setting

FLOAT32_BYTES = 4
# What the envelope of a message adds to its payload: identity, plan and names, and frame and index of each tile.
ENVELOPE_BYTES = 230
ENVELOPE_TILE_BYTES = 16


@dataclass(frozen=True)
class SatelliteFacts:
    """Speed and memory of one satellite.

    Attributes
    ----------
    block_s
        Seconds one tile takes in one block, mean over all L.
    memory_bytes
        Bytes its parameters may take.
    layer_shares
        (L,) time of each layer as a multiple of `block_s`, so of mean 1; empty: all take the same.
    """

    name: str
    block_s: float
    memory_bytes: float
    layer_shares: Sequence[float] = ()

    def layer_s(self, blocks: int, tiles: int) -> list[float]:
        """(L,) seconds a batch of so many tiles takes in each of L = `blocks` layers."""
        return [self.block_s * tiles * share for share in self.layer_shares or [1.0] * blocks]


@dataclass(frozen=True)
class LinkFacts:
    """The three kinds of link: to the first satellite, between satellites, to the ground.

    Attributes
    ----------
    measured
        Single links that are known better, by (sender, receiver); an empty name stands for the source and the ground.
        Of real links, rates are of batches without headers.
    stated
        The same, of links that are stated beforehand to differ from their kind.
    """

    upload: Link
    isl: Link
    s2g: Link
    measured: Mapping[tuple[str, str], Link] = field(default_factory=dict)
    stated: Mapping[tuple[str, str], Link] = field(default_factory=dict)

    def of(self, sender: str, receiver: str) -> Link:
        """What is known of one link."""
        kind = self.upload if not sender else self.s2g if not receiver else self.isl
        pair = (sender, receiver)
        return self.measured.get(pair) or self.stated.get(pair) or kind


@dataclass(frozen=True)
class FlightFacts:
    """What a plan is made from.

    Attributes
    ----------
    batches, batch_tiles
        B batches of N tiles.
    upload_tile_bytes
        Size of one tile as uploaded to the first satellite [byte]; 0 if unknown: raw RGB is then assumed.
    settings
        Codec settings to choose from at each cut.
    accuracy_floor
        Least accuracy a cut's setting may have, a share of 1; 0 allows all.
    real_links
        Whether batches leave through flow controllers, made for the links' rates as they were known beforehand.
    """

    spec: ModelSpec
    batches: int
    batch_tiles: int
    upload_tile_bytes: float
    satellites: Sequence[SatelliteFacts]
    links: LinkFacts
    settings: Sequence[Setting]
    accuracy_floor: float
    real_links: bool = False

    def link(self, sender: str, receiver: str) -> Link:
        """One link, as batches find it; an empty name stands for the source and the ground.

        On real links no more crosses than flow controllers let out, whatever is measured.
        """
        known = self.links.of(sender, receiver)
        if not self.real_links:
            return known
        stated = replace(self.links, measured={}).of(sender, receiver)
        most_bps = goodput_bps(stated.rate_bps, stated.propagation_s)
        is_measured = (sender, receiver) in self.links.measured
        return replace(known, rate_bps=min(known.rate_bps, most_bps) if is_measured else most_bps)

    def links_through(self, names: Sequence[str]) -> list[Link]:
        """(K+1,) links of a chain of these satellites, as batches find them."""
        ends = ["", *names, ""]
        return [self.link(sender, receiver) for sender, receiver in zip(ends[:-1], ends[1:], strict=True)]


def flight_problem(facts: FlightFacts) -> Problem:
    """The planning problem of one run; costs are for one batch.

    Where the layers of a satellite were not measured, they take the same time: embedding and head are below a hundredth
    of a block's work in the models that need splitting.
    """
    spec, tiles = facts.spec, facts.batch_tiles
    upload_tile_bytes = facts.upload_tile_bytes or 3 * spec.image_height * spec.image_width
    activation_bytes = FLOAT32_BYTES * tiles * spec.tokens * spec.width
    envelope_bytes = ENVELOPE_BYTES + ENVELOPE_TILE_BYTES * tiles
    logits_bytes = FLOAT32_BYTES * tiles * len(spec.classes) + envelope_bytes
    return Problem(
        batches=facts.batches,
        model=Model(
            layer_memory_bytes=spec.layer_bytes,
            cut_bytes=[
                tiles * upload_tile_bytes + envelope_bytes,
                *[activation_bytes] * (spec.blocks - 1),
                logits_bytes,
            ],
        ),
        satellites=[Satellite(s.name, s.memory_bytes, layer_s=s.layer_s(spec.blocks, tiles)) for s in facts.satellites],
        links=facts.links_through([s.name for s in facts.satellites]),
        compression=Compression(facts.settings, facts.accuracy_floor),
    )
