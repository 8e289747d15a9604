"""Tables that the coefficients of all cuts share: how values of each class of spread are distributed."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.coding.rans import TABLE_CLASSES, SymbolTables
from satllm_ros.compression.wire.errors import ArtefactError


@dataclass(frozen=True, eq=False)
class CoefficientTables:
    """Symbol tables of patch tokens and of class and register tokens, and where in its interval a value lies.

    Parameters
    ----------
    frequencies : ndarray uint16 (2, 12, 127)
        Patch tokens first; see `SymbolTables`.
    shifts : ndarray uint8 (2, 12)
        How far below its symbol a value is rebuilt, in sixteenths of a step; below 16.

    Raises
    ------
    ArtefactError
        If a shape or a value is not usable.
    """

    frequencies: NDArray[np.uint16]
    shifts: NDArray[np.uint8]
    patch: SymbolTables = field(init=False)
    prefix: SymbolTables = field(init=False)

    def __post_init__(self) -> None:
        frequencies, shifts = np.asarray(self.frequencies), np.asarray(self.shifts)
        if len(frequencies) != 2 or shifts.shape != (2, TABLE_CLASSES) or (shifts > 15).any():
            raise ArtefactError("tables of the coefficients must be two, with shifts (2, 12) of 0 to 15")
        shifts = np.array(shifts, dtype="|u1", order="C", copy=True)
        shifts.flags.writeable = False
        object.__setattr__(self, "shifts", shifts)
        object.__setattr__(self, "patch", SymbolTables(frequencies[0]))
        object.__setattr__(self, "prefix", SymbolTables(frequencies[1]))
        object.__setattr__(self, "frequencies", np.stack([self.patch.frequencies, self.prefix.frequencies]))

    @property
    def patch_shift(self) -> NDArray[np.uint8]:
        """Shifts (12,) of the patch tokens."""
        shift: NDArray[np.uint8] = self.shifts[0]
        return shift

    @property
    def prefix_shift(self) -> NDArray[np.uint8]:
        """Shifts (12,) of the class and register tokens."""
        shift: NDArray[np.uint8] = self.shifts[1]
        return shift

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, in the order in which they are hashed."""
        return {"frequencies": self.frequencies, "shifts": self.shifts}
