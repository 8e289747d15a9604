"""The inner loops of the codecs: compiled where they were built, else numpy's; the same bits, chosen at import."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.coding.mask_choice import MaskChoice
from satllm_ros.compression.coding.native import LIBRARY, load
from satllm_ros.compression.coding.plain import PlainLoops
from satllm_ros.compression.coding.rans import SymbolTables


class Loops(Protocol):
    """What both can do.

    Attributes
    ----------
    name
        For a line that says which of them runs.
    """

    name: str

    def encode(self, symbols: NDArray[np.int32], classes: NDArray[np.uint8], tables: SymbolTables) -> list[bytes]:
        """See `rans.encode`."""

    def decode(self, sections: list[memoryview], classes: NDArray[np.uint8], tables: SymbolTables) -> NDArray[np.int32]:
        """See `rans.decode`."""

    def gather(self, image: NDArray[np.float32], choice: MaskChoice, symbols: NDArray[np.uint8]) -> int:
        """Quantize what a mask sends of an image; gives how many values were not finite."""

    def scatter(self, symbols: NDArray[np.uint8], choice: MaskChoice, image: NDArray[np.float32]) -> None:
        """Rebuild an image of what a mask sent."""


def choose(compiled: Loops | None) -> Loops:
    """The compiled ones, if there are any."""
    return PlainLoops() if compiled is None else compiled


loops: Loops = choose(load(LIBRARY))
