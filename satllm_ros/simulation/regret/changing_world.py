"""Random traces: speeds of satellites and rates of links that change, and change back, during a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satllm_ros.model.spec import ModelSpec
from satllm_ros.planning.problem.problem import Link, Setting
from satllm_ros.replanning.flight import FlightFacts, LinkFacts, SatelliteFacts

# Runs of about ten minutes, in which every satellite and every link changes every few minutes.
RUN_S = 600.0
CHANGE_S = 180.0
# A change sets a figure to its usual value times this spread, or for a while to a fraction of it.
SPREAD = 0.35
THROTTLED = (0.25, 0.6)


@dataclass(frozen=True)
class ChangingWorld:
    """What is true from each time on.

    Attributes
    ----------
    since_s
        (n,) beginnings of the spells, the first at 0 [s].
    facts
        (n,) the truth of each spell; `batches` is that of the whole run.
    load_bytes_per_s
        How fast satellites load parameters.
    """

    since_s: NDArray[np.float64]
    facts: tuple[FlightFacts, ...]
    load_bytes_per_s: float

    def load_speed(self, _: str) -> float:
        """How fast the satellite of this name loads [byte/s]: as all do."""
        return self.load_bytes_per_s


def random_world(rng: np.random.Generator) -> ChangingWorld:
    """Three or four satellites, 8 to 16 blocks, links between satellites, two settings without cost and one with."""
    count, blocks = int(rng.integers(3, 5)), int(rng.integers(8, 17))
    block_bytes = int(rng.integers(20, 150)) * 10**6
    spec = ModelSpec(
        architecture="chain",
        arguments={},
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        classes=("a", "b"),
        model_id="0" * 16,
        blocks=blocks,
        tokens=197,
        prefix_tokens=1,
        width=768,
        image_height=224,
        image_width=224,
        layer_bytes=(block_bytes,) * blocks,
    )
    settings = (
        Setting("raw", 1.0, 1.0),
        Setting("int8", 0.2, 0.99),
        Setting("small", 0.05, 0.98, encode_s_per_byte=4e-9, decode_s_per_byte=1e-9),
    )
    block_s = rng.uniform(0.005, 0.02, count)
    rate_bps = 10 ** rng.uniform(6.5, 8.5, count - 1)
    memory = block_bytes * blocks * rng.choice([1.0, 2.0])
    spells = _spells(rng, np.concatenate([1 / block_s, rate_bps]))
    tiles = 16
    pace_s = block_s.mean() * tiles * blocks / count

    def facts(figures: NDArray[np.float64]) -> FlightFacts:
        names = [f"sat{k + 1}" for k in range(count)]
        measured = {(names[k], names[k + 1]): Link(float(rate)) for k, rate in enumerate(figures[count:])}
        return FlightFacts(
            spec=spec,
            batches=max(2, int(RUN_S / pace_s)),
            batch_tiles=tiles,
            upload_tile_bytes=0,
            satellites=[SatelliteFacts(n, float(1 / f), memory) for n, f in zip(names, figures[:count], strict=True)],
            links=LinkFacts(Link(1e9), Link(1e8), Link(1e9), measured),
            settings=settings,
            accuracy_floor=0.0,
        )

    return ChangingWorld(
        since_s=np.array([since for since, _ in spells]),
        facts=tuple(facts(figures) for _, figures in spells),
        load_bytes_per_s=float(10 ** rng.uniform(7.7, 9)),
    )


def _spells(rng: np.random.Generator, usual: NDArray[np.float64]) -> list[tuple[float, NDArray[np.float64]]]:
    now_s, figures = 0.0, usual * np.exp(rng.normal(0, SPREAD, len(usual)))
    spells = [(0.0, figures)]
    while now_s < 6 * RUN_S:
        now_s += rng.exponential(CHANGE_S / len(usual))
        figures = figures.copy()
        which = rng.integers(len(usual))
        factor = rng.uniform(*THROTTLED) if rng.random() < 0.3 else np.exp(rng.normal(0, SPREAD))
        figures[which] = usual[which] * factor
        spells.append((now_s, figures))
    return spells
