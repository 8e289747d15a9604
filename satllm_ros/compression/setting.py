"""Which codec, and how strong: what an operator sets and every frame carries."""

import math
from dataclasses import dataclass
from enum import IntEnum

from satllm_ros.compression.errors import CodecSettingError

__all__ = ["Codec", "CodecSetting", "CodecSettingError"]


class Codec(IntEnum):
    """Codecs by their number on the wire and in the messages."""

    RAW = 0
    INT8 = 1


_WIDTH_BITS = {Codec.RAW: 32, Codec.INT8: 8}


@dataclass(frozen=True)
class CodecSetting:
    """One point on the rate-accuracy curve of a codec.

    Parameters
    ----------
    codec : Codec
    keep_ratio : float
        Share of the activation's elements that is sent [-]; 1 for `raw` and `int8`.
    bits : int
        Width of the quantizer [bit]; 8 for `int8`. `raw` has no quantizer: there it reads 32.

    Raises
    ------
    CodecSettingError
        If the codec does not offer this keep ratio or width.
    """

    codec: Codec
    keep_ratio: float = 1.0
    bits: int = 8

    def __post_init__(self) -> None:
        try:
            codec = Codec(self.codec)
        except ValueError:
            allowed = ", ".join(f"{c.value} ({c.name.lower()})" for c in Codec)
            raise CodecSettingError(f"codec number {self.codec!r} is unknown; allowed are {allowed}") from None
        if not math.isfinite(self.keep_ratio) or self.keep_ratio != 1.0:
            raise CodecSettingError(f"keep ratio {self.keep_ratio} is not offered by {codec.name.lower()}, only 1")
        width_bits = _WIDTH_BITS[codec]
        # The field has a default, so a bare CodecSetting(Codec.RAW) must equal one that says 32.
        given_bits = width_bits if codec is Codec.RAW and self.bits == 8 else self.bits
        if given_bits != width_bits:
            raise CodecSettingError(f"{self.bits} bits are not offered by {codec.name.lower()}, only {width_bits}")
        object.__setattr__(self, "codec", codec)
        object.__setattr__(self, "bits", width_bits)

    @classmethod
    def parse(cls, text: str) -> "CodecSetting":
        """Read what `str` of a setting prints: `raw` or `int8`.

        Raises
        ------
        CodecSettingError
            If the text names no codec; the message lists the codecs.
        """
        try:
            return cls(Codec[text.strip().upper()])
        except KeyError:
            allowed = ", ".join(c.name.lower() for c in Codec)
            raise CodecSettingError(f"codec setting {text!r} is unknown; allowed are {allowed}") from None

    def __str__(self) -> str:
        return self.codec.name.lower()
