"""The header of a checkpoint: what it says of itself, before any tensor is read."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules, PixelRulesError
from satllm_ros.model.errors import ModelError

BFLOAT16 = "BF16"
FLOAT_DTYPES = ("F16", BFLOAT16, "F32")
PIXELS = "pixels"
REQUIRED = ("architecture", "model_args", "mean", "std", "classes")
_HASH_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Header:
    """Header of one safetensors checkpoint.

    Attributes
    ----------
    metadata
        The file's text metadata.
    shapes, dtypes
        Shape and safetensors dtype of each tensor, by name.
    architecture, arguments
        timm's model name and keyword arguments.
    mean, std
        Input normalization per RGB channel, for values in 0..1.
    classes
        Class names, in the order of the logits.
    pixels
        What was stated about the images that the model was trained on.
    """

    path: Path
    metadata: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    architecture: str
    arguments: dict[str, Any]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    classes: tuple[str, ...]
    pixels: PixelRules = AS_DECLARED

    @property
    def is_bfloat16(self) -> bool:
        """Whether the model is held and computes in bfloat16, as all its floating-point tensors are; else float32."""
        return {dtype for dtype in self.dtypes.values() if dtype in FLOAT_DTYPES} == {BFLOAT16}


def read_header(checkpoint: Path) -> Header:
    """Read and check the header of a checkpoint; no tensor is read, and torch is not imported.

    Its errors do not name the file: callers put it before them, with `about`.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelError
        If it is not a safetensors file or its metadata lack or garble what a checkpoint must say.
    """
    if not checkpoint.is_file():
        raise FileNotFoundError(f"checkpoint {checkpoint} is not a file")
    try:
        with safe_open(checkpoint, framework="np") as file:
            metadata = dict(file.metadata() or {})
            slices = {name: file.get_slice(name) for name in file.keys()}
            shapes = {name: tuple(view.get_shape()) for name, view in slices.items()}
            dtypes = {name: view.get_dtype() for name, view in slices.items()}
    except SafetensorError as error:
        raise ModelError(f"not a safetensors file: {error}") from error
    if absent := [key for key in REQUIRED if key not in metadata]:
        raise ModelError(f"it lacks the metadata {', '.join(absent)}; expected are {', '.join(REQUIRED)}")
    architecture = metadata["architecture"]
    arguments = _parse(metadata, "model_args")
    if not isinstance(arguments, dict):
        raise ModelError(f"metadata model_args is {arguments!r}, expected a JSON object")
    classes = _parse(metadata, "classes")
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise ModelError(f"metadata classes is {classes!r}, expected a JSON list of names")
    mean = _channels(metadata, "mean")
    std = _channels(metadata, "std")
    if min(std) <= 0:
        raise ModelError(f"metadata std is {list(std)}, expected three numbers above 0")
    try:
        pixels = PixelRules.from_text(metadata.get(PIXELS, "{}"))
    except PixelRulesError as error:
        raise ModelError(f"metadata {PIXELS}: {error}") from error
    return Header(checkpoint, metadata, shapes, dtypes, architecture, arguments, mean, std, tuple(classes), pixels)


def pixels_metadata(rules: PixelRules) -> dict[str, str]:
    """What a checkpoint says of the images it was trained on; nothing, if nothing was stated."""
    return {} if rules == AS_DECLARED else {PIXELS: rules.to_text()}


def file_id(path: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a file."""
    return file_sha256(path)[:16]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _parse(metadata: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except ValueError as error:
        raise ModelError(f"metadata {key} is {metadata[key]!r}, expected JSON") from error


def _channels(metadata: Mapping[str, str], key: str) -> tuple[float, float, float]:
    values = _parse(metadata, key)
    numbers = isinstance(values, list) and all(type(v) in (int, float) and math.isfinite(v) for v in values)
    if not numbers or len(values) != 3:
        raise ModelError(f"metadata {key} is {values!r}, expected three numbers (RGB)")
    return float(values[0]), float(values[1]), float(values[2])
