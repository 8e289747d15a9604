"""`satllm bench codec`."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

_SHAPES = ((64, 65, 192), (64, 197, 768))
_SETTINGS = (
    "raw",
    "fp16",
    "int8",
    "topk",
    "mask:0.2:8",
    "mask:0.2:6",
    "mask_dynamic:0.2:8",
    "klt:12",
    "klt:16",
    "klt:20",
)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `bench codec`."""
    bench = subparsers.add_parser("bench", help="measure speed and size")
    what = bench.add_subparsers(title="what", metavar="WHAT", required=True)
    codec = what.add_parser(
        "codec",
        help="the codecs, one thread, beside memcpy and general compressors",
        description="Medians over interleaved rounds on made-up activations; GB of the fp32 tensor per second of "
        "processor time.",
    )
    codec.add_argument("--settings", nargs="+", default=_SETTINGS, metavar="SETTING", help="(default: %(default)s)")
    codec.add_argument("--rounds", type=int, default=7, help="(default: %(default)s)")
    codec.add_argument("--json", type=Path, help="file for the rows")
    codec.set_defaults(run=_bench_codec)


def _bench_codec(args: argparse.Namespace) -> int:
    # Before numpy is loaded: one thread each, as the rows say.
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    from satllm_ros.compression.coding import backend
    from satllm_ros.compression.tools.bench import bench
    from satllm_ros.satellite.memory import keep_pages

    if args.rounds < 1:
        raise ValueError(f"--rounds {args.rounds} is not allowed; at least 1 is needed")
    keep_pages()
    print(f"inner loops: {backend.loops.name}")
    rows = []
    for shape in _SHAPES:
        head = "".join(f"{word:>8}" for word in ("encode", "decode", "memcpy"))
        print(f"\n{'x'.join(map(str, shape)):24}{head} GB/s {'bytes':>9} {'ratio':>7} {'bound':>7}")
        for row in bench(shape, list(args.settings), args.rounds):
            rows.append(asdict(row))
            over = "" if row.bound_bytes is None else f"{row.bytes / row.bound_bytes - 1:+.1%}"
            ratio = 4 * shape[0] * shape[1] * shape[2] / row.bytes
            name = row.setting if ":" in row.setting or row.codec == row.setting else f"{row.codec}, {row.setting}"
            print(
                f"{name:24}{row.encode_gbps:8.2f}{row.decode_gbps:8.2f}{row.memcpy_gbps:8.2f}     "
                f"{row.bytes:9} {ratio:6.1f}x {over:>7}"
            )
    if args.json is not None:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0
