"""Batches that would be longer on a link than those who wait for them have patience."""

from __future__ import annotations

from satllm_ros.planning.problem.solution import Solution

# Sensing takes a batch for lost that is stored and not delivered for so long (`delivery_s`); who waits for one hop of
# several shall not wait longer.
LONGEST_SEND_S = 60.0
# A store sends predictions again that are not acknowledged for so long (`resend_s`).
LONGEST_DOWNLINK_S = 15.0
# A satellite whose worker has not moved for 120 s gives no sign of life any more (`PresenceLimits.worker_s`).
LONGEST_COMPUTE_S = 100.0


def too_long(solution: Solution, batch_tiles: int, *, source: str, upload_is_known: bool = True) -> list[str]:
    """A sentence for each link that one batch of a plan would hold for too long, with the size that would do.

    Parameters
    ----------
    source
        What sentences call the sender of the images.
    upload_is_known
        Whether the size of an uploaded tile is; else that link is not judged.
    """
    names = [stage.satellite for stage in solution.stages]
    ends = [source, *names, "the ground"]
    limits = [LONGEST_SEND_S] * len(names) + [LONGEST_DOWNLINK_S]
    hops = list(zip(ends[:-1], ends[1:], solution.link_s, limits, strict=True))
    return [
        f"a batch of {batch_tiles} tiles takes {time_s:.0f} s from {sender} to {receiver}, and is waited for"
        f" {limit_s:.0f} s at most; {_remedy(int(batch_tiles * limit_s / time_s))}"
        for sender, receiver, time_s, limit_s in hops[0 if upload_is_known else 1 :]
        if time_s > limit_s
    ]


def too_slow(solution: Solution, batch_tiles: int) -> list[str]:
    """A sentence for each satellite that one batch would keep busy for too long, with the size that would do."""
    return [
        f"a batch of {batch_tiles} tiles takes {load.compute_s:.0f} s on {load.name}, and who does not move for longer"
        f" than {limit_s:.0f} s is taken for dead; {_remedy(int(batch_tiles * limit_s / load.compute_s))}"
        for load in solution.satellites
        if load.compute_s > (limit_s := LONGEST_COMPUTE_S)
    ]


def _remedy(tiles: int) -> str:
    return (
        f"nearest change: batch_tiles {tiles}"
        if tiles
        else "not even single tiles fit: choose a stronger codec or more satellites"
    )
