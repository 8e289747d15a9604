"""`satllm profile` and `satllm calibrate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from satllm_ros.cli.pixel_arguments import add_pixel_arguments

DEFAULT_FOLDER = Path("profiles")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register both."""
    profile = subparsers.add_parser(
        "profile",
        help="measure a model on this computer: time per block, memory, codecs",
        description="Measure what the planner needs to know of a model on this computer, and write it to a YAML file "
        "named after both.",
    )
    profile.add_argument("checkpoint", metavar="MODEL", help="safetensors file, or 'demo'")
    profile.add_argument("--artefacts", help="codec artefacts, or 'demo'; without them codecs are not measured")
    profile.add_argument("--batch-tiles", type=int, nargs="+", default=[1, 16], help="batch sizes (default: 1 16)")
    profile.add_argument("--threads", type=int, nargs="+", default=[1], help="numbers of threads (default: 1)")
    profile.add_argument("--repeats", type=int, default=9, help="runs to take the median of (default: %(default)s)")
    profile.add_argument("--out", type=Path, default=DEFAULT_FOLDER, help="folder to write to (default: %(default)s)")
    profile.set_defaults(run=run_profile)
    calibrate = subparsers.add_parser(
        "calibrate",
        help="measure what accuracy each codec setting leaves",
        description="Run labelled images through a model, compressed at one cut, at all, and at a few, with every "
        "setting; write the accuracies, the monotone curve through them (Eq. 12), and how well losses add up.",
    )
    calibrate.add_argument("checkpoint", metavar="MODEL", help="safetensors file, or 'demo'")
    calibrate.add_argument("--artefacts", required=True, help="codec artefacts, or 'demo'")
    calibrate.add_argument("--data", type=Path, required=True, help="Parquet file, or folder of class folders")
    calibrate.add_argument("--split", default="test", help="split to take, or all (default: %(default)s)")
    calibrate.add_argument("--images", type=int, default=1000, help="how many images (default: %(default)s)")
    calibrate.add_argument("--settings", nargs="+", help="codec settings (default: all that the artefacts measured)")
    calibrate.add_argument("--cascades", type=int, default=5, help="random cascades to fly (default: %(default)s)")
    calibrate.add_argument("--seed", type=int, default=0, help="seed of images and cascades (default: %(default)s)")
    calibrate.add_argument("--out", type=Path, default=DEFAULT_FOLDER, help="folder to write to (default: %(default)s)")
    add_pixel_arguments(calibrate)
    calibrate.set_defaults(run=run_calibrate)


def run_profile(arguments: argparse.Namespace) -> int:
    """Measure, write, and print what was written where."""
    from satllm_ros.assets.paths import artefacts_path, checkpoint_path
    from satllm_ros.compression.tables.artefacts import load_artefacts
    from satllm_ros.compression.wire.setting import CodecSetting
    from satllm_ros.model.spec import read_spec
    from satllm_ros.profiling.bar import progress
    from satllm_ros.profiling.device import device_name
    from satllm_ros.profiling.files import Profile, now_utc, profile_path, save_profile
    from satllm_ros.profiling.measure_blocks import measure_blocks
    from satllm_ros.profiling.measure_codecs import measure_codecs
    from satllm_ros.profiling.measure_memory import fit_line, measure_memory

    for name in ("batch_tiles", "threads"):
        if min(getattr(arguments, name)) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {min(getattr(arguments, name))} must be at least 1")
    if arguments.repeats < 1:
        raise ValueError(f"--repeats {arguments.repeats} must be at least 1")
    checkpoint = checkpoint_path(arguments.checkpoint)
    spec = read_spec(checkpoint)
    artefacts = None
    if arguments.artefacts:
        artefacts = load_artefacts(artefacts_path(arguments.artefacts), model_id=spec.model_id)
    settings = [CodecSetting.parse(name) for name in artefacts.measurements] if artefacts else []
    counts = sorted({1, max(1, spec.blocks // 4), max(1, spec.blocks // 2), spec.blocks})
    steps = spec.blocks * len(arguments.batch_tiles) * len(arguments.threads) + len(counts) + len(settings)
    with progress("profile", steps) as tick:
        blocks = measure_blocks(checkpoint, arguments.batch_tiles, arguments.threads, arguments.repeats, tick)
        memory = measure_memory(checkpoint, counts, max(arguments.batch_tiles), tick)
        tiles = max(arguments.batch_tiles)
        codecs = measure_codecs(checkpoint, artefacts, settings, tiles, arguments.repeats, tick) if artefacts else {}
    profile = Profile(spec.model_id, device_name(), now_utc(), tuple(blocks), tuple(memory), fit_line(memory), codecs)
    path = profile_path(arguments.out, spec.model_id, profile.device)
    save_profile(path, profile)
    for line in summary(profile):
        print(line)
    print(f"written to {path}")
    return 0


def summary(profile: object) -> list[str]:
    """A profile in a few lines."""
    from satllm_ros.profiling.files import Profile

    assert isinstance(profile, Profile)
    lines = [f"model {profile.model_id} on {profile.device}"]
    for one in profile.blocks:
        per_tile_ms = 1e3 * sum(one.layer_s) / one.batch_tiles
        lines.append(
            f"  {one.batch_tiles} tiles, {one.threads} threads: {per_tile_ms:.3g} ms a tile through {len(one.layer_s)} "
            f"blocks; slowest block {1e3 * max(one.layer_s):.3g} ms a batch"
        )
    if profile.memory_line is not None:
        line = profile.memory_line
        lines.append(
            f"  memory: {line.overhead_bytes / 1e6:.4g} MB + {line.per_block_bytes / 1e6:.4g} MB a block, "
            f"off by {line.worst_error_bytes / 1e6:.3g} MB at most"
        )
    lines += [
        f"  {name}: {1e9 * cost.encode_s_per_byte:.3g} ns to encode, {1e9 * cost.decode_s_per_byte:.3g} ns to decode "
        f"an fp32 byte, ratio {cost.ratio:.3g}"
        for name, cost in profile.codecs.items()
    ]
    return lines


def run_calibrate(arguments: argparse.Namespace) -> int:
    """Sweep, fit, write, print."""
    from satllm_ros.cli.calibrate import run

    return run(arguments)
