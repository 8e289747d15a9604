"""`satllm export`: a model as ONNX graphs, for computers without PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

from satllm_ros.cli.output import add_json, write_json


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register it."""
    parser = subparsers.add_parser(
        "export",
        help="make ONNX graphs of a model, for satellites without PyTorch",
        description="Write a bundle: an ONNX graph for the embed part, each block and the head, and a manifest that "
        "names the checkpoint and has the SHA-256 of each file. Each graph is run once beside PyTorch, and refused if "
        "the results differ.",
    )
    parser.add_argument("--checkpoint", required=True, help="model, a safetensors file, or 'demo'")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="BUNDLE",
        help="folder to write (default: beside the checkpoint, where satellites look)",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export, and print what was written where."""
    from dataclasses import asdict

    from satllm_ros.assets.paths import checkpoint_path
    from satllm_ros.model.engines.bundle import bundle_of
    from satllm_ros.model.spec import read_spec
    from satllm_ros.profiling.bar import progress

    checkpoint = checkpoint_path(arguments.checkpoint)
    spec = read_spec(checkpoint)
    folder = bundle_of(checkpoint, arguments.out or "")
    # Imports torch: what can be refused before has been.
    from satllm_ros.model.export.write import export_bundle

    with progress("export", spec.blocks + 2) as tick:
        manifest = export_bundle(checkpoint, spec, folder, tick)
    if write_json(arguments.json, {"bundle": str(folder), **asdict(manifest)}):
        return 0
    written_bytes = sum(part.bytes for part in manifest.parts.values())
    print(
        f"model {manifest.model_id} as {len(manifest.parts)} graphs of opset {manifest.opset} in {manifest.precision}, "
        f"{written_bytes / 1e6:.4g} MB"
    )
    if manifest.checkpoint_precision != manifest.precision:
        print(
            f"  the checkpoint computes in {manifest.checkpoint_precision}: results differ from its own by the "
            "rounding of that"
        )
    print(f"written to {folder}")
    if arguments.out is None:
        print("  satellites whose engine is auto or onnx find it there, and take it from now on")
    return 0
