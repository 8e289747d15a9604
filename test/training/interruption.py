"""Ctrl-C at a moment that a test chooses."""

from satllm_ros.training.watch import Watch


class StopAfter(Watch):
    """In the middle of the epoch after this many whole ones."""

    def __init__(self, epochs: int) -> None:
        self._left = epochs

    def batch(self, images: int, loss: float) -> None:
        if self._left == 0:
            raise KeyboardInterrupt

    def epoch(self, epoch: int, loss: float, accuracy: float) -> None:
        self._left -= 1
