"""The inner loops in numpy."""

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.coding import rans
from satllm_ros.compression.coding.mask_choice import MaskChoice
from satllm_ros.compression.coding.rans import SymbolTables

_SIGNS = np.array([1, -1], np.float32)
# The signed magnitude that each symbol stands for.
_SIGNED = (np.arange(256) >> 1).astype(np.float32) * _SIGNS[np.arange(256) & 1]


class PlainLoops:
    """See `backend.Loops`."""

    name = "numpy"

    def encode(self, symbols: NDArray[np.int32], classes: NDArray[np.uint8], tables: SymbolTables) -> list[bytes]:
        return rans.encode(symbols, classes, tables)

    def decode(self, sections: list[memoryview], classes: NDArray[np.uint8], tables: SymbolTables) -> NDArray[np.int32]:
        return rans.decode(sections, classes, tables)

    def gather(self, image: NDArray[np.float32], choice: MaskChoice, symbols: NDArray[np.uint8]) -> int:
        values = image.reshape(-1)[choice.places]
        with np.errstate(invalid="ignore", over="ignore"):
            steps = (values - choice.mean) * choice.inverse_step
        lost = int(values.size - np.count_nonzero(np.isfinite(values)))
        steps[np.isnan(steps)] = 0
        magnitudes = np.rint(np.minimum(np.abs(steps), np.float32(choice.largest))).astype(np.uint8)
        symbols[:] = magnitudes << 1 | (steps < 0)
        return lost

    def scatter(self, symbols: NDArray[np.uint8], choice: MaskChoice, image: NDArray[np.float32]) -> None:
        image[:] = choice.fill
        values = _SIGNED[symbols]
        values *= choice.step
        values += choice.mean
        image.reshape(-1)[choice.places] = values
