"""Which codec, and how strong: what an operator sets and every frame carries."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from satllm_ros.compression.wire.errors import CodecSettingError

__all__ = ["Codec", "CodecSetting", "CodecSettingError"]


class Codec(IntEnum):
    """Codecs by their number on the wire and in the messages."""

    RAW = 0
    INT8 = 1
    FP16 = 2
    TOPK = 3
    RANDTOPK = 4
    MASK = 5
    MASK_DYNAMIC = 6
    KLT = 7


# What the codecs need of the artefacts; those in neither need scales only.
WITHOUT_SCALES = (Codec.RAW, Codec.FP16)
WITH_TABLES = (Codec.MASK, Codec.MASK_DYNAMIC, Codec.KLT)


@dataclass(frozen=True)
class _Offer:
    """What a codec lets one choose: `keeps`, a keep ratio below 1; `bits`, from `low` to `high`."""

    keeps: bool
    low: int
    high: int
    usual_bits: int


_OFFERS = {
    Codec.RAW: _Offer(False, 32, 32, 32),
    Codec.INT8: _Offer(False, 8, 8, 8),
    Codec.FP16: _Offer(False, 16, 16, 16),
    Codec.TOPK: _Offer(True, 6, 8, 8),
    Codec.RANDTOPK: _Offer(True, 6, 8, 8),
    Codec.MASK: _Offer(True, 6, 8, 8),
    Codec.MASK_DYNAMIC: _Offer(True, 6, 8, 8),
    Codec.KLT: _Offer(False, 0, 63, 16),
}
# The paper's masks keep a fifth of the elements.
_USUAL_KEEP_RATIO = 0.2


@dataclass(frozen=True, init=False)
class CodecSetting:
    """One point on the rate-accuracy curve of a codec.

    Parameters
    ----------
    codec : Codec
    keep_ratio : float
        Share of the patch tokens' elements that is sent [-], above 0 and at most 1; other than 1 only for the
        masks and top-k. Rounded to float32, as a frame carries it.
    bits : int, optional
        Width of the quantizer [bit]: 6 to 8 for the masks and top-k, fixed for the others. For `klt` it is the
        step of the quantizer, 0 to 63 quarter octaves above the finest: 4 more double the step. The codec's usual one
        if it is left out.

    Raises
    ------
    CodecSettingError
        If the codec does not offer this keep ratio or width.
    """

    codec: Codec
    keep_ratio: float
    bits: int

    def __init__(self, codec: Codec, keep_ratio: float = 1.0, bits: int | None = None) -> None:
        try:
            codec = Codec(codec)
        except ValueError:
            allowed = ", ".join(f"{c.value} ({c.name.lower()})" for c in Codec)
            raise CodecSettingError(f"codec number {codec!r} is unknown; allowed are {allowed}") from None
        offer, name = _OFFERS[codec], codec.name.lower()
        if not offer.keeps and keep_ratio != 1.0:
            raise CodecSettingError(f"keep ratio {keep_ratio} is not offered by {name}, only 1")
        # Not the other way round: NaN must fail.
        if not (math.isfinite(keep_ratio) and 0.0 < np.float32(keep_ratio) <= 1.0):
            raise CodecSettingError(f"keep ratio {keep_ratio} is not offered; allowed are those above 0 and up to 1")
        # Plans say 8 where nothing is quantized, too.
        if bits is None or (codec is Codec.RAW and bits == 8):
            bits = offer.usual_bits
        if not offer.low <= bits <= offer.high:
            allowed = f"only {offer.low}" if offer.low == offer.high else f"only {offer.low} to {offer.high}"
            what = f"step {bits} is" if codec is Codec.KLT else f"{bits} bits are"
            raise CodecSettingError(f"{what} not offered by {name}, {allowed}")
        object.__setattr__(self, "codec", codec)
        object.__setattr__(self, "keep_ratio", float(np.float32(keep_ratio)))
        object.__setattr__(self, "bits", bits)

    @classmethod
    def parse(cls, text: str) -> "CodecSetting":
        """Read what `str` of a setting prints; what is left out is the codec's usual value.

        `raw`, `fp16`, `int8`, `topk:0.2:8`, `randtopk:0.2:8`, `mask:0.2:8`, `mask_dynamic:0.2:8`, `klt:16`.

        Raises
        ------
        CodecSettingError
            If the text names no codec, or something that this codec does not offer.
        """
        name, *numbers = text.strip().split(":")
        try:
            codec = Codec[name.upper()]
        except KeyError:
            allowed = ", ".join(c.name.lower() for c in Codec)
            raise CodecSettingError(f"codec setting {text!r} is unknown; allowed are {allowed}") from None
        offer = _OFFERS[codec]
        form = _form(codec)
        if len(numbers) > form.count(":"):
            raise CodecSettingError(f"codec setting {text!r} has too many parts; its form is {form}")
        try:
            keep_ratio = float(numbers.pop(0)) if offer.keeps and numbers else _USUAL_KEEP_RATIO
            bits = int(numbers.pop(0)) if numbers else offer.usual_bits
        except ValueError:
            raise CodecSettingError(f"codec setting {text!r} cannot be read; its form is {form}") from None
        return cls(codec, keep_ratio if offer.keeps else 1.0, bits)

    def __str__(self) -> str:
        keep = np.format_float_positional(np.float32(self.keep_ratio), trim="-")
        return _form(self.codec).replace("KEEP", keep).replace("BITS", str(self.bits)).replace("STEP", str(self.bits))

    def kept(self, elements: int) -> int:
        """How many of a chunk's elements are sent: `floor(keep_ratio * elements + 0.5)`; may be 0."""
        return math.floor(self.keep_ratio * elements + 0.5)


def _form(codec: Codec) -> str:
    name = codec.name.lower()
    if codec is Codec.KLT:
        return f"{name}:STEP"
    return f"{name}:KEEP:BITS" if _OFFERS[codec].keeps else name
