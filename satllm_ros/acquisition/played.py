"""A bag that somebody else plays: when to start it, and when all that will come of it has come."""

from __future__ import annotations

# Sensing says so in its log once what it hears will fly; a launch file starts its player then, and not before.
READY_FOR_IMAGES = "ready for images"
# What a player published last may still be under way when it has gone.
GONE_S = 2.0


class PlayedStream:
    """Whether a stream of known length is over: all of it was heard, or its player came and went.

    Parameters
    ----------
    expected_images
        How many images will be published.
    """

    def __init__(self, expected_images: int) -> None:
        self._expected_images = expected_images
        self._came = False
        self._gone_since_s: float | None = None

    def is_over(self, heard_images: int, publishers: int, now_s: float) -> bool:
        """Ask a few times a second; `publishers` is how many there are of the topic now."""
        if heard_images >= self._expected_images:
            return True
        if publishers or heard_images:
            self._came = True
        if publishers or not self._came:
            self._gone_since_s = None
            return False
        if self._gone_since_s is None:
            self._gone_since_s = now_s
        return now_s - self._gone_since_s >= GONE_S
