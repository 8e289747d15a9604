"""Directed links by the names of their two ends: which there are, of which kind, and how single ones are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations

from satllm_ros.interfaces import GROUND, SENSING
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.planning.problem.problem import Link

Pair = tuple[str, str]

MAX_RATE_BPS = 1e15
MAX_PROPAGATION_S = 60.0


def kind_of(sender: str, receiver: str) -> str:
    """Kind of a directed link: upload, isl or s2g."""
    return "upload" if sender == SENSING else "s2g" if receiver == GROUND else "isl"


def all_pairs(satellites: Sequence[str]) -> list[Pair]:
    """Every directed link that some plan of these satellites could use."""
    upload = [(SENSING, name) for name in satellites]
    return [*upload, *permutations(satellites, 2), *((name, GROUND) for name in satellites)]


def pair_from(name: object, satellites: Sequence[str]) -> Pair:
    """Sender and receiver of a link that is written sender-receiver.

    Raises
    ------
    ValueError
        In one sentence, if no batch could ever cross such a link.
    """
    sender, _, receiver = str(name).partition("-")
    if (sender, receiver) in all_pairs(satellites):
        return sender, receiver
    raise ValueError(
        f"{name!r} is no directed link; allowed are sender-receiver, the sender {SENSING} or a satellite and the"
        f" receiver another satellite or, from a satellite, {GROUND}; satellites are {', '.join(satellites)}"
    )


def with_unnamed_ends(links: Mapping[Pair, Link]) -> dict[Pair, Link]:
    """The same links as the planner names them: an empty name stands for sensing, and for the ground."""
    return {("" if a == SENSING else a, "" if b == GROUND else b): link for (a, b), link in links.items()}


def written(rates: Mapping[Pair, LinkRates]) -> list[str]:
    """Rates of single links as nodes take them: sender-receiver=rate,delay in bit/s and s."""
    return [f"{a}-{b}={r.rate_bps!r},{r.propagation_s!r}" for (a, b), r in rates.items()]


def parsed(texts: Iterable[str], satellites: Sequence[str]) -> dict[Pair, LinkRates]:
    """What `written` wrote; empty texts name no link.

    Raises
    ------
    ValueError
        In one sentence, if a text is not of that form, names no link of these satellites, or one twice.
    """
    rates: dict[Pair, LinkRates] = {}
    for text in filter(None, texts):
        name, _, figures = text.partition("=")
        pair = pair_from(name, satellites)
        try:
            rate_bps, propagation_s = map(float, figures.split(","))
        except ValueError:
            rate_bps = propagation_s = math.nan
        if not (1.0 <= rate_bps <= MAX_RATE_BPS and 0.0 <= propagation_s <= MAX_PROPAGATION_S):
            raise ValueError(
                f"link {name} has {figures!r}; allowed is rate,delay: 1 to {MAX_RATE_BPS:g} bit/s and"
                f" 0 to {MAX_PROPAGATION_S:g} s, such as {name}=2e6,0.005"
            )
        if pair in rates:
            raise ValueError(f"link {name} is given twice; once is allowed")
        rates[pair] = LinkRates(rate_bps, propagation_s)
    return rates
