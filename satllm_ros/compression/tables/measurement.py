"""What calibration found of one codec setting, on the whole and at each cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from satllm_ros.compression.wire.errors import ArtefactError


@dataclass(frozen=True)
class CutMeasurement:
    """What a setting costs at one cut, with no other compressed.

    Parameters
    ----------
    ratio : float
        Wire bytes / fp32 bytes there.
    loss : float, optional
        Accuracy without compression less that with this cut compressed, -1 to 1; None if it was not measured.
    """

    ratio: float
    loss: float | None = None

    def __post_init__(self) -> None:
        if not (self.ratio > 0.0 and (self.loss is None or -1.0 <= self.loss <= 1.0)):
            raise ArtefactError(
                f"measurement of a cut with ratio {self.ratio} and loss {self.loss}; allowed are above 0, and -1 to 1"
            )


@dataclass(frozen=True)
class Measurement:
    """What was found with cuts compressed in cascade: in artefacts, with every cut compressed by one setting.

    Parameters
    ----------
    accuracy : float
        Share of right predictions, 0 to 1.
    ratio : float
        Wire bytes / fp32 bytes, mean over the cuts.
    encode_s_per_byte, decode_s_per_byte : float
        Time of the codec per fp32 byte on the computer that measured it [s]; 0 if it was not measured.
    by_cut : mapping of int to CutMeasurement
        Single cuts alone, as many as were measured. In cascade, frames after many others are a little shorter.
    """

    accuracy: float
    ratio: float
    encode_s_per_byte: float = 0.0
    decode_s_per_byte: float = 0.0
    by_cut: Mapping[int, CutMeasurement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (0.0 <= self.accuracy <= 1.0 and self.ratio > 0.0):
            raise ArtefactError(
                f"measurement with accuracy {self.accuracy} and ratio {self.ratio}; allowed are 0 to 1, and above 0"
            )
        if not (0.0 <= self.encode_s_per_byte < 1.0 and 0.0 <= self.decode_s_per_byte < 1.0):
            raise ArtefactError(
                f"measurement with {self.encode_s_per_byte} and {self.decode_s_per_byte} s per byte; allowed are 0 to 1"
            )
        object.__setattr__(self, "by_cut", MappingProxyType({cut: self.by_cut[cut] for cut in sorted(self.by_cut)}))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "by_cut"}
        cuts = {str(cut): {"ratio": one.ratio, "loss": one.loss} for cut, one in self.by_cut.items()}
        return found | ({"by_cut": cuts} if cuts else {})

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> Measurement:
        """From JSON values.

        Raises
        ------
        AttributeError, TypeError, ValueError
            If it is damaged.
        """
        cuts = {int(cut): CutMeasurement(**one) for cut, one in found.get("by_cut", {}).items()}
        return Measurement(**{**found, "by_cut": cuts})
