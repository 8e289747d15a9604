"""Activation to frame and back: the two functions that everything else calls."""

from dataclasses import dataclass

import numpy as np

from satllm_ros.compression import int8, raw
from satllm_ros.compression.artefacts import Artefacts
from satllm_ros.compression.errors import EncodeError, FrameError, FrameFault
from satllm_ros.compression.frame import FrameHeader, pack_frame, read_header, split_sections
from satllm_ros.compression.setting import Codec, CodecSetting


@dataclass(frozen=True, eq=False)
class Decoded:
    """What came out of a frame.

    Attributes
    ----------
    activation : ndarray float32 (N, S, D)
        Finite.
    cut : int
        Blocks already run.
    setting : CodecSetting
        How it was coded.
    replaced : int
        How many NaN or infinite values the sender replaced; anything but 0 means that its model misbehaves.
    """

    activation: np.ndarray
    cut: int
    setting: CodecSetting
    replaced: int


def encode(activation: np.ndarray, setting: CodecSetting, artefacts: Artefacts, cut: int) -> bytes:
    """Code an activation into one self-contained frame.

    Parameters
    ----------
    activation : ndarray float32 (N, S, D)
        N images of S tokens, class and register tokens first. May hold NaN and infinities: see the codecs.
    setting : CodecSetting
    artefacts : Artefacts
        Of the model; the receiver must hold the same.
    cut : int
        Blocks already run.

    Raises
    ------
    EncodeError
        If the activation is not float32 (N, S, D) with the width of the model and at least one patch token.
    ArtefactError
        If the codec needs scales and the artefacts hold none for this cut.
    """
    prefix_tokens = artefacts.prefix_tokens
    if activation.dtype != np.float32 or activation.ndim != 3:
        raise EncodeError(f"activation is {activation.dtype} {activation.shape}, must be float32 (N, S, D)")
    images, tokens, width = activation.shape
    if images == 0 or tokens <= prefix_tokens or width != artefacts.width:
        raise EncodeError(
            f"activation has shape {activation.shape}; this model needs at least 1 image, "
            f"more than {prefix_tokens} tokens and width {artefacts.width}"
        )
    if setting.codec is Codec.RAW:
        body = raw.encode_body(activation, prefix_tokens)
    else:
        body = int8.encode_body(activation, artefacts.scales_of(cut))
    header = FrameHeader(
        setting,
        cut,
        (images, tokens, width),
        prefix_tokens,
        artefacts.artefact_id,
        min(body.replaced, 2**32 - 1),
    )
    return pack_frame(header, body.prefix, body.chunks)


def decode(frame: bytes | memoryview | np.ndarray, artefacts: Artefacts, *, max_elements: int) -> Decoded:
    """Decode a frame that may be damaged or forged.

    Parameters
    ----------
    frame : bytes, memoryview or ndarray uint8
        Contiguous.
    artefacts : Artefacts
        Of the receiver's model.
    max_elements : int
        Largest N * S * D to accept; memory use stays within a small multiple of it.

    Raises
    ------
    FrameError
        With the fault, for anything that `encode` with these artefacts would not have made.
    """
    view = memoryview(frame).cast("B")
    header = read_header(view, max_elements=max_elements)
    _check_model(header, artefacts)
    if header.setting.codec is Codec.RAW:
        activation = raw.decode_body(header, split_sections(view, header))
    else:
        scales = artefacts.scales.get(header.cut)
        if scales is None:
            raise FrameError(
                FrameFault.CUT,
                f"frame is of cut {header.cut}, artefacts have scales for {list(artefacts.scales)}",
            )
        activation = int8.decode_body(header, split_sections(view, header), scales)
    return Decoded(activation, header.cut, header.setting, header.replaced)


def _check_model(header: FrameHeader, artefacts: Artefacts) -> None:
    if header.artefact_id != artefacts.artefact_id:
        raise FrameError(
            FrameFault.ARTEFACT,
            f"frame was made with artefacts {header.artefact_id}, this receiver has {artefacts.artefact_id}",
        )
    if header.shape[2] != artefacts.width or header.prefix_tokens != artefacts.prefix_tokens:
        raise FrameError(
            FrameFault.SHAPE,
            f"frame has width {header.shape[2]} and {header.prefix_tokens} prefix tokens, "
            f"this model {artefacts.width} and {artefacts.prefix_tokens}",
        )
