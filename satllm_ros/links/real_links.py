"""What a real link carries: batches leave below its rate, in datagrams with headers of their own."""

from __future__ import annotations

# The rest is for hellos, acknowledgements, plans, and what has to be sent again.
CONTROLLER_SHARE = 0.8
# Two Ethernet frames. One alone is a tenth headers; in more, a lost frame takes too much with it.
DATAGRAM_BYTES = 2900
# On fast links, which lose little, receivers do not keep up with so many small ones.
FAST_BPS, FAST_DATAGRAM_BYTES = 5e7, 25_000
# Headers of RTPS in each, as Fast DDS reckons them: its own, destination, time, fragment, heartbeat, statistics.
HEADER_BYTES = 164
# From so long a way on, a receiver is seldom asked what it lacks: it lacks all of a batch that is not there yet, and by
# the time its answer is here, that has left.
LONG_S, LONG_HEARTBEAT_S = 0.05, 4.0
# On such links there is room for what is sent again. What is new goes first, so that nothing else makes room for it.
RESENT_SHARE = 0.05


def controller_rate_bps(rate_bps: float) -> float:
    """Rate [bit/s] at which datagrams of batches leave on a link of `rate_bps`."""
    return CONTROLLER_SHARE * rate_bps


def datagram_bytes(rate_bps: float) -> int:
    """Longest datagram on a link of `rate_bps`, with the headers of RTPS and without those of UDP and IP."""
    return DATAGRAM_BYTES if rate_bps <= FAST_BPS else FAST_DATAGRAM_BYTES


def is_long(propagation_s: float) -> bool:
    """Whether a link is so long that much is under way when its sender hears of a loss."""
    return propagation_s >= LONG_S


def goodput_bps(rate_bps: float, propagation_s: float) -> float:
    """Rate [bit/s] at which batches, without headers, leave on a link of this rate and delay [bit/s, s]."""
    once_bps = controller_rate_bps(rate_bps) * (1.0 - HEADER_BYTES / datagram_bytes(rate_bps))
    return once_bps / (1.0 + RESENT_SHARE) if is_long(propagation_s) else once_bps
