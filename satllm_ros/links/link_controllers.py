"""Links with a flow controller, as a node's parameter writes them: destination=rate,delay in bit/s and s."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from satllm_ros.links.link_queue import LinkRates


def written_controllers(links: Mapping[str, LinkRates]) -> list[str]:
    """The link to each destination, as nodes take it."""
    return [f"{destination}={link.rate_bps!r},{link.propagation_s!r}" for destination, link in links.items()]


def parsed_controllers(texts: Iterable[str]) -> dict[str, LinkRates]:
    """What `written_controllers` wrote.

    Raises
    ------
    ValueError
        In one sentence, if one is not written so.
    """
    links = {}
    for text in texts:
        destination, _, figures = text.partition("=")
        try:
            rate_bps, propagation_s = map(float, figures.split(","))
        except ValueError:
            rate_bps = propagation_s = math.nan
        if not destination or not (0.0 < rate_bps < math.inf and 0.0 <= propagation_s < math.inf):
            raise ValueError(
                f"parameter link_controllers has {text!r}; allowed is a name, =, a rate above 0 bit/s, a comma and a"
                " delay of 0 s or more"
            )
        links[destination] = LinkRates(rate_bps, propagation_s)
    return links
