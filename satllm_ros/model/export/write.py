"""Writes a bundle from a checkpoint: whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import onnx
import timm
import torch

from satllm_ros.model.checkpoints.header import file_sha256
from satllm_ros.model.engines.bundle import (
    EMBED,
    HEAD,
    MANIFEST,
    OPSET,
    Manifest,
    PartFile,
    block_name,
    part_path,
)
from satllm_ros.model.errors import ModelError, about
from satllm_ros.model.export.graphs import PartGraph, block_graph, embed_graph, head_graph
from satllm_ros.model.spec import FLOAT32, ModelSpec


def export_bundle(checkpoint: Path, spec: ModelSpec, folder: Path, tick: Callable[[], None]) -> Manifest:
    """Make the bundle of a checkpoint; one part is in memory at a time. A bundle that is there is replaced.

    Parameters
    ----------
    tick
        Called after each of the L + 2 parts.

    Raises
    ------
    OSError
        If it cannot be written, or something else than a bundle is there.
    ModelError
        If the checkpoint is not what it must be, or a part cannot be expressed in ONNX.
    """
    _check_place(folder)
    partial_folder = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    partial_folder.mkdir()
    try:
        parts = {}
        for name, make in _parts(checkpoint, spec.blocks):
            with about(checkpoint):
                parts[name] = _write(part_path(partial_folder, name), name, make)
            tick()
        manifest = Manifest(
            model_id=spec.model_id,
            architecture=spec.architecture,
            precision=FLOAT32,
            checkpoint_precision=spec.precision,
            opset=OPSET,
            blocks=spec.blocks,
            tokens=spec.tokens,
            width=spec.width,
            classes=len(spec.classes),
            image_height=spec.image_height,
            image_width=spec.image_width,
            made_with={"torch": torch.__version__, "timm": timm.__version__, "onnx": onnx.__version__},
            parts=parts,
        )
        (partial_folder / MANIFEST).write_text(manifest.to_text(), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        partial_folder.rename(folder)
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
    return manifest


def _check_place(folder: Path) -> None:
    """Refuse to write a bundle where something else stands, or where there is no folder to put it into."""
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise FileExistsError(f"{folder} is there and is no bundle: name another place, or remove it")
    if not folder.absolute().parent.is_dir():
        raise FileNotFoundError(f"{folder} cannot be written: there is no folder {folder.parent}")


def _parts(checkpoint: Path, blocks: int) -> Iterator[tuple[str, Callable[[], PartGraph]]]:
    yield EMBED, partial(embed_graph, checkpoint)
    for block in range(1, blocks + 1):
        yield block_name(block), partial(block_graph, checkpoint, block)
    yield HEAD, partial(head_graph, checkpoint, blocks)


def _write(path: Path, name: str, make: Callable[[], PartGraph]) -> PartFile:
    try:
        make().save(path)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    return PartFile(file_sha256(path), path.stat().st_size, _weight_bytes(path))


def _weight_bytes(path: Path) -> int:
    """Bytes of a graph's tensors, and of what stands in it as constants."""
    graph = onnx.load(path).graph
    constants = [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
    return sum(len(tensor.raw_data) for tensor in (*graph.initializer, *constants))
