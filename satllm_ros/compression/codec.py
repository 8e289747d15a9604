"""Activation to frame and back: the two functions that everything else calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codecs import fp16, int8, klt, mask, raw, topk
from satllm_ros.compression.codecs.body import Body
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.cut_tables import CutTables
from satllm_ros.compression.tables.scales import CutScales
from satllm_ros.compression.wire.errors import EncodeError, FrameError, FrameFault
from satllm_ros.compression.wire.frame import FrameHeader, pack_frame, read_header, split_sections
from satllm_ros.compression.wire.setting import WITH_TABLES, WITHOUT_SCALES, Codec, CodecSetting


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

    activation: NDArray[np.float32]
    cut: int
    setting: CodecSetting
    replaced: int


def encode(activation: NDArray[np.float32], setting: CodecSetting, artefacts: Artefacts, cut: int) -> bytes:
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
        If the activation is not float32 (N, S, D) with the width of the model and at least one patch token, or has
        not the tokens that the codec's tables are for.
    ArtefactError
        If the codec needs scales or tables and the artefacts hold none for this cut.
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
    body = _encode_body(activation, setting, artefacts, cut)
    header = FrameHeader(
        setting,
        cut,
        (images, tokens, width),
        prefix_tokens,
        artefacts.artefact_id,
        min(body.replaced, 2**32 - 1),
    )
    return pack_frame(header, body.prefix, body.chunks)


def decode(
    frame: bytes | memoryview | NDArray[np.uint8],
    artefacts: Artefacts,
    *,
    max_elements: int,
    out: NDArray[np.float32] | None = None,
) -> Decoded:
    """Decode a frame that may be damaged or forged.

    Parameters
    ----------
    frame : bytes, memoryview or ndarray uint8
        Contiguous.
    artefacts : Artefacts
        Of the receiver's model.
    max_elements : int
        Largest N * S * D to accept; memory use stays within a small multiple of it.
    out : ndarray float32 (N, S, D), optional
        Written to and returned if the frame has its shape; fresh memory costs more than decoding into it. Left in
        any state by a frame that is refused.

    Raises
    ------
    FrameError
        With the fault, for anything that `encode` with these artefacts would not have made.
    """
    view = memoryview(frame.data if isinstance(frame, np.ndarray) else frame).cast("B")
    header = read_header(view, max_elements=max_elements)
    _check_model(header, artefacts)
    activation = _decode_body(view, header, artefacts, out)
    return Decoded(activation, header.cut, header.setting, header.replaced)


def _encode_body(activation: NDArray[np.float32], setting: CodecSetting, artefacts: Artefacts, cut: int) -> Body:
    codec = setting.codec
    if codec is Codec.RAW:
        return raw.encode_body(activation, artefacts.prefix_tokens)
    if codec is Codec.FP16:
        return fp16.encode_body(activation, artefacts.prefix_tokens)
    scales = artefacts.scales_of(cut)
    if codec is Codec.INT8:
        return int8.encode_body(activation, scales)
    if codec not in WITH_TABLES:
        return topk.encode_body(activation, setting, scales)
    tables = artefacts.tables_of(cut)
    if activation.shape[1] != tables.tokens:
        raise EncodeError(
            f"activation has {activation.shape[1]} tokens; tables of cut {cut} are for {tables.tokens} tokens"
        )
    if codec is Codec.KLT:
        return klt.encode_body(activation, setting.bits, tables, artefacts.shared_tables())
    return mask.encode_body(activation, setting, scales, tables)


def _decode_body(
    frame: memoryview, header: FrameHeader, artefacts: Artefacts, out: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    codec = header.setting.codec
    if codec in WITHOUT_SCALES:
        sections = split_sections(frame, header)
        decode_plain = raw.decode_body if codec is Codec.RAW else fp16.decode_body
        return decode_plain(header, sections, out)
    scales = _known(artefacts.scales, header.cut, "scales")
    tables = _known(artefacts.tables, header.cut, "tables") if codec in WITH_TABLES else None
    if tables is not None and header.shape[1] != tables.tokens:
        raise FrameError(
            FrameFault.SHAPE, f"frame has {header.shape[1]} tokens, tables of cut {header.cut} are for {tables.tokens}"
        )
    sections = split_sections(frame, header)
    if codec is Codec.INT8:
        return int8.decode_body(header, sections, scales, out)
    if tables is None:
        return topk.decode_body(header, sections, scales, out)
    if codec is Codec.KLT:
        return klt.decode_body(header, sections, tables, artefacts.shared_tables(), out)
    return mask.decode_body(header, sections, scales, tables, out)


_Held = TypeVar("_Held", CutScales, CutTables)


def _known(by_cut: Mapping[int, _Held], cut: int, what: str) -> _Held:
    if cut not in by_cut:
        raise FrameError(FrameFault.CUT, f"frame is of cut {cut}, artefacts have {what} for {list(by_cut)}")
    return by_cut[cut]


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
