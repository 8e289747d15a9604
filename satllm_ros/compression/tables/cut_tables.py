"""The static tables of one cut that the codecs `mask`, `mask_dynamic` and `klt` need."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.coding.rans import CLASSES, LARGEST_DIGIT, table_of
from satllm_ros.compression.tables.scales import MAX_MAGNITUDE
from satllm_ros.compression.wire.errors import ArtefactError

# Fixed-point unit of the token transform, whose elements are -1 .. 1.
TOKEN_UNIT = 1 << 14
# Reconstruction points lie on a grid of 1/16 step.
LEVELS_PER_STEP = 16
# Sums of the inverse transform stay below this, so that they are exact in float64 in any order.
_EXACT = 2.0**53
_TYPES = {
    "token_mean": "<f2",
    "spread": "<f4",
    "mask_order": "<u4",
    "forward": "<i2",
    "forward_scale": "<f4",
    "inverse": "<i2",
    "inverse_scale": "<f4",
    "token_transform": "<i2",
    "std": "|u1",
    "prefix_forward": "<i2",
    "prefix_forward_scale": "<f4",
    "prefix_inverse": "<i2",
    "prefix_inverse_scale": "<f4",
    "prefix_std": "|u1",
}


@dataclass(frozen=True, eq=False)
class CutTables:
    """Tables of one cut for S tokens, P of them class and register tokens, T = S - P patches, and D channels.

    The transform gives K coefficients of D channels (at most D), the one for class and register tokens Q.

    Parameters
    ----------
    token_mean : ndarray float16 (S, D)
        What an element is when nothing is sent of it.
    spread : ndarray float32 (P + 1, D)
        Largest |x - mean| that calibration saw: of each class or register token, then of all patch tokens.
    mask_order : ndarray uint32 (T * D,)
        All elements of an image's patch tokens, those that matter most first: the mask of a keep ratio is the
        beginning of this list, so masks are nested.
    forward, forward_scale : ndarray int16 (D, K), float32 (K,)
        Channels to coefficients, in units of the finest step: `forward * forward_scale`.
    inverse, inverse_scale : ndarray int16 (K, D), float32 (D,)
        And back: `inverse * inverse_scale`, for sixteenths of the finest step and tokens in units of 2^-14.
    token_transform : ndarray int16 (T, T)
        Orthonormal; rows are coefficients, columns tokens, in units of 2^-14.
    std : ndarray uint8 (T, K)
        Spread of each coefficient in quarter octaves: `11 + 4 log2(std / finest step)`, 0 for what is never sent.
    prefix_forward, prefix_forward_scale, prefix_inverse, prefix_inverse_scale, prefix_std
        The same for class and register tokens: (D, Q), (Q,), (Q, D), (D,), (P, Q).
    """

    token_mean: NDArray[np.floating[Any]]
    spread: NDArray[np.floating[Any]]
    mask_order: NDArray[np.integer[Any]]
    forward: NDArray[np.integer[Any]]
    forward_scale: NDArray[np.float32]
    inverse: NDArray[np.integer[Any]]
    inverse_scale: NDArray[np.float32]
    token_transform: NDArray[np.integer[Any]]
    std: NDArray[np.uint8]
    prefix_forward: NDArray[np.integer[Any]]
    prefix_forward_scale: NDArray[np.floating[Any]]
    prefix_inverse: NDArray[np.integer[Any]]
    prefix_inverse_scale: NDArray[np.floating[Any]]
    prefix_std: NDArray[np.uint8]

    @property
    def tokens(self) -> int:
        """S."""
        return len(self.token_mean)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name, in the order in which they are hashed."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def checked(self, cut: int, prefix_tokens: int, width: int) -> "CutTables":
        """Read-only copy with the types of the format, if the values are usable.

        Raises
        ------
        ArtefactError
            If a shape is wrong, a value not finite or too large, a mask not a permutation, or a transform so
            large that its sums would not be exact.
        """
        arrays = {name: _frozen(array, _TYPES[name]) for name, array in self.arrays().items()}
        for name, shape in _shapes(arrays, prefix_tokens, width).items():
            if arrays[name].shape != shape:
                raise ArtefactError(f"{name} of cut {cut} has shape {arrays[name].shape}, must be {shape}")
            if arrays[name].dtype.kind == "f" and not (np.abs(arrays[name], dtype=np.float64) <= MAX_MAGNITUDE).all():
                raise ArtefactError(f"{name} of cut {cut} holds a value that is no number or above {MAX_MAGNITUDE:g}")
        if max(arrays["forward_scale"].size, arrays["prefix_forward_scale"].size) > width:
            raise ArtefactError(f"the transform of cut {cut} has more coefficients than the {width} channels")
        if (arrays["spread"] < 0).any():
            raise ArtefactError(f"spread of cut {cut} holds a value below 0")
        order = arrays["mask_order"]
        if not np.array_equal(np.sort(order), np.arange(order.size)):
            raise ArtefactError(f"mask_order of cut {cut} does not hold each element once")
        inverse, scale = arrays["inverse"], arrays["inverse_scale"]
        _check_sums(cut, inverse, scale, arrays["std"], arrays["token_transform"])
        inverse, scale = arrays["prefix_inverse"], arrays["prefix_inverse_scale"]
        _check_sums(cut, inverse, scale, arrays["prefix_std"], np.full((1, 1), TOKEN_UNIT))
        return CutTables(**arrays)


def _shapes(arrays: dict[str, NDArray[Any]], prefix_tokens: int, width: int) -> dict[str, tuple[int, ...]]:
    tokens = len(arrays["token_mean"]) if arrays["token_mean"].ndim else 0
    patches = max(0, tokens - prefix_tokens)
    kept, prefix_kept = arrays["forward_scale"].size, arrays["prefix_forward_scale"].size
    return {
        "token_mean": (prefix_tokens + max(1, patches), width),
        "spread": (prefix_tokens + 1, width),
        "mask_order": (patches * width,),
        "forward": (width, kept),
        "forward_scale": (kept,),
        "inverse": (kept, width),
        "inverse_scale": (width,),
        "token_transform": (patches, patches),
        "std": (patches, kept),
        "prefix_forward": (width, prefix_kept),
        "prefix_forward_scale": (prefix_kept,),
        "prefix_inverse": (prefix_kept, width),
        "prefix_inverse_scale": (width,),
        "prefix_std": (prefix_tokens, prefix_kept),
    }


def _check_sums(
    cut: int,
    inverse: NDArray[np.integer[Any]],
    scale: NDArray[np.floating[Any]],
    std: NDArray[np.uint8],
    token_transform: NDArray[np.integer[Any]],
) -> None:
    classes = np.minimum(np.maximum(std.max(axis=0, initial=0), 1) - 1 >> 1, CLASSES - 1)
    largest = (LARGEST_DIGIT + 1 << table_of(classes)[1]) * float(LEVELS_PER_STEP)
    over_channels = (largest @ np.abs(inverse.astype(np.float64))).max(initial=0.0)
    sums = over_channels * np.abs(token_transform.astype(np.float64)).sum(axis=0).max(initial=0.0)
    if sums >= _EXACT:
        raise ArtefactError(f"the transform of cut {cut} sums to {sums:.3g}, above {_EXACT:.3g}")
    if sums * np.abs(scale).max(initial=0.0) > MAX_MAGNITUDE:
        raise ArtefactError(f"the transform of cut {cut} gives values above {MAX_MAGNITUDE:g}")


def _frozen(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    copy = np.array(array, dtype=dtype, order="C", copy=True)
    copy.flags.writeable = False
    return copy
