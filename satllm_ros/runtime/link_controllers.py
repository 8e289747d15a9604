"""Links with a flow controller, as a node's parameter writes them: destination=rate in bit/s."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping


def written_controllers(rates: Mapping[str, float]) -> list[str]:
    """Rate [bit/s] of the link to each destination, as nodes take it."""
    return [f"{destination}={rate_bps!r}" for destination, rate_bps in rates.items()]


def parsed_controllers(texts: Iterable[str]) -> dict[str, float]:
    """What `written_controllers` wrote.

    Raises
    ------
    ValueError
        In one sentence, if one is not written so.
    """
    rates = {}
    for text in texts:
        destination, _, rate = text.partition("=")
        try:
            rates[destination] = float(rate)
        except ValueError:
            rates[destination] = math.nan
        if not destination or not 0.0 < rates[destination] < math.inf:
            raise ValueError(f"parameter link_controllers has {text!r}; allowed is a name, = and a rate above 0 bit/s")
    return rates
