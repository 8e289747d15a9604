"""What a checkpoint says of its model, read without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules
from satllm_ros.model.checkpoints.header import FLOAT_DTYPES, Header, file_id, read_header
from satllm_ros.model.errors import ModelError, about
from satllm_ros.model.families import check_family
from satllm_ros.model.geometry import Geometry
from satllm_ros.model.parts import count_blocks, layers_of

FLOAT32, BFLOAT16 = "float32", "bfloat16"
_FLOAT32_BYTES = 4
_BFLOAT16_BYTES = 2
_INTEGER_BYTES = {"I64": 8}


@dataclass(frozen=True)
class ModelSpec:
    """A model as its checkpoint describes it.

    Attributes
    ----------
    architecture, arguments
        timm's model name and keyword arguments.
    mean, std
        Input normalization per RGB channel, for values in 0..1.
    classes
        Class names, in the order of the logits.
    model_id
        First 16 hexadecimal digits of the SHA-256 of the checkpoint file.
    blocks, tokens, prefix_tokens, width
        L, S (prefix tokens included), class and register tokens, D.
    image_height, image_width
        Input size [pixels].
    layer_bytes
        Bytes of parameters of each of the L layers in memory, as float32, or bfloat16 if the checkpoint is of it;
        the embed part counts in layer 1, the head in layer L. What every block shares counts in each layer, as each
        stage holds it. Tables that timm computes rather than stores are not counted.
    shapes
        Shape of every tensor in the checkpoint, by name.
    pixels
        What was stated about the images that the model was trained on.
    precision
        In what the model is held and computes, float32 or bfloat16.
    """

    architecture: str
    arguments: dict[str, Any]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    classes: tuple[str, ...]
    model_id: str
    blocks: int
    tokens: int
    prefix_tokens: int
    width: int
    image_height: int
    image_width: int
    layer_bytes: tuple[int, ...]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)
    pixels: PixelRules = AS_DECLARED
    precision: str = FLOAT32


def read_spec(checkpoint: Path) -> ModelSpec:
    """Read a checkpoint's header and metadata; torch is needed only if the metadata lack the model's sizes.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelError
        If it is no checkpoint of a supported model.
    """
    checkpoint = Path(checkpoint)
    with about(checkpoint):
        header = read_header(checkpoint)
        check_family(header.architecture)
        geometry = Geometry.from_metadata(header.metadata)
        if geometry is None:
            # Only here: timm and torch take seconds to import, and a planner needs neither.
            from satllm_ros.model.structure import build_meta, measure_geometry

            geometry = measure_geometry(build_meta(header.architecture, header.arguments))
        layer_bytes = _layer_bytes(header, geometry.blocks)
    return ModelSpec(
        architecture=header.architecture,
        arguments=header.arguments,
        mean=header.mean,
        std=header.std,
        classes=header.classes,
        model_id=file_id(checkpoint),
        blocks=geometry.blocks,
        tokens=geometry.tokens,
        prefix_tokens=geometry.prefix_tokens,
        width=geometry.width,
        image_height=geometry.image_height,
        image_width=geometry.image_width,
        layer_bytes=layer_bytes,
        shapes=header.shapes,
        pixels=header.pixels,
        precision=BFLOAT16 if header.is_bfloat16 else FLOAT32,
    )


def _layer_bytes(header: Header, blocks: int) -> tuple[int, ...]:
    if (found := count_blocks(header.shapes)) != blocks:
        raise ModelError(f"it has tensors of {found} blocks, expected {blocks}")
    layer_bytes = [0] * blocks
    float_bytes = _BFLOAT16_BYTES if header.is_bfloat16 else _FLOAT32_BYTES
    for name, shape in header.shapes.items():
        dtype = header.dtypes[name]
        element_bytes = float_bytes if dtype in FLOAT_DTYPES else _INTEGER_BYTES.get(dtype)
        if element_bytes is None:
            raise ModelError(f"tensor {name} is of type {dtype}, expected {', '.join(FLOAT_DTYPES)}")
        for layer in layers_of(name, blocks):
            layer_bytes[layer - 1] += prod(shape) * element_bytes
    return tuple(layer_bytes)
