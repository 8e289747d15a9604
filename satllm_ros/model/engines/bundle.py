"""A bundle: a model as ONNX graphs, one a part, and a manifest that says of which model, and what each file must be.

    manifest.json  embed.onnx  block_001.onnx … block_012.onnx  head.onnx

Each graph takes `x` and gives `y`, float32, any number of tiles: embed from images (N, 3, H, W) to activations
(N, S, D), blocks from and to those, head to logits (N, E). Nothing here needs torch, ONNX or its runtime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from satllm_ros.model.checkpoints.header import file_sha256
from satllm_ros.model.errors import ModelError
from satllm_ros.model.spec import FLOAT32, ModelSpec

MANIFEST = "manifest.json"
FORMAT, VERSION = "satllm-onnx-bundle", 1
# LayerNormalization came with it; every runtime of the last years has it.
OPSET = 17
EMBED, HEAD = "embed", "head"


@dataclass(frozen=True)
class PartFile:
    """One graph: its file's SHA-256 and size, and the bytes of its tensors [byte]."""

    sha256: str
    bytes: int
    weight_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself.

    Attributes
    ----------
    model_id
        That of the checkpoint, whose content the bundle is.
    precision, checkpoint_precision
        What the graphs compute in, and what the checkpoint would.
    opset
        Version of ONNX's operators.
    blocks, tokens, width, classes
        L, S, D, E.
    image_height, image_width
        Input size [pixels].
    made_with
        Versions of what made it.
    parts
        Its graphs, by the name of the part.
    """

    model_id: str
    architecture: str
    precision: str
    checkpoint_precision: str
    opset: int
    blocks: int
    tokens: int
    width: int
    classes: int
    image_height: int
    image_width: int
    made_with: Mapping[str, str]
    parts: Mapping[str, PartFile]

    def to_text(self) -> str:
        """The file's content; the seal is over all the rest, so that no bit of it can change unnoticed."""
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps({**document, "seal": _seal(document)}, indent=1) + "\n"


def bundle_of(checkpoint: Path, named: str | Path = "") -> Path:
    """Where the bundle of a checkpoint is looked for, and made: at the place that is named, else beside it."""
    return Path(named) if named else checkpoint.with_name(checkpoint.name + ".onnx")


def block_name(block: int) -> str:
    """Name of the part that is one block, counted from 1."""
    return f"block_{block:03d}"


def part_names(start: int, stop: int, blocks: int) -> list[str]:
    """Names of the parts of blocks (start, stop], in the order in which they run."""
    names = [block_name(block) for block in range(start + 1, stop + 1)]
    return [EMBED] * (start == 0) + names + [HEAD] * (stop == blocks)


def part_path(folder: Path, name: str) -> Path:
    """The file of a part."""
    return folder / f"{name}.onnx"


def read_manifest(folder: Path, spec: ModelSpec) -> Manifest:
    """Read what a bundle says, and compare it with the checkpoint it should be made from.

    Raises
    ------
    OSError
        If it cannot be read.
    ModelError
        Naming the file, if it is damaged, of another version or of another model.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no bundle: it has no {MANIFEST}; `satllm export` makes one")
    try:
        manifest = _parse(path.read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: {error}") from error
    if manifest.model_id != spec.model_id:
        raise ModelError(f"{path}: it is of model {manifest.model_id}, expected {spec.model_id}")
    sizes = (manifest.blocks, manifest.tokens, manifest.width, manifest.classes)
    if sizes != (spec.blocks, spec.tokens, spec.width, len(spec.classes)):
        raise ModelError(f"{path}: it states other sizes than the checkpoint of model {spec.model_id}")
    return manifest


def check_part(folder: Path, name: str, manifest: Manifest) -> Path:
    """Path of a part's file, read once in full and found to be what the manifest says.

    Raises
    ------
    OSError
        If it cannot be read.
    ModelError
        Naming the file, if it is another one.
    """
    path = part_path(folder, name)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; `satllm export` makes the whole bundle")
    found = file_sha256(path)
    if found != manifest.parts[name].sha256:
        raise ModelError(f"{path}: its SHA-256 is {found[:16]}…, expected {manifest.parts[name].sha256[:16]}…")
    return path


def _parse(content: bytes) -> Manifest:
    document = json.loads(content)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"it is no manifest of a bundle; format {FORMAT} is expected")
    seal = document.pop("seal", None)
    if seal != _seal(document):
        raise ValueError("its seal does not fit its content: it is damaged, or was changed by hand")
    if document["version"] != VERSION:
        raise ValueError(f"it is of version {document['version']}, this software reads version {VERSION}")
    values: dict[str, Any] = {each.name: document[each.name] for each in fields(Manifest)}
    values["parts"] = {name: PartFile(**part) for name, part in document["parts"].items()}
    manifest = Manifest(**values)
    if manifest.opset != OPSET:
        raise ValueError(f"its graphs are of opset {manifest.opset}, this software runs opset {OPSET}")
    if manifest.precision != FLOAT32:
        raise ValueError(f"its graphs compute in {manifest.precision}, this software runs {FLOAT32}")
    if missing := set(part_names(0, manifest.blocks, manifest.blocks)) ^ set(manifest.parts):
        raise ValueError(f"it has not the parts of {manifest.blocks} blocks; too many or missing: {min(missing)}")
    return manifest


def _seal(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
