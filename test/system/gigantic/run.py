"""A model that no process may hold flies in five, each under a hard memory limit, and gives the same logits."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from gigantic.cargo import read_logits, run_unsplit, save_cargo
from gigantic.fly import fly
from gigantic.limits import Limits, limits_of
from gigantic.verdict import complaints, how_it_failed, table

ARCHITECTURE = "vit_gigantic_patch14_224"
SATELLITES = 5
LIMIT_BYTES = 2_000_000_000
# Of these 2 GB; the rest is for torch, buffers and what DDS shares. Four such satellites could not hold the model.
MEMORY_BYTES = 800_000_000
DISK_BYTES = 5_000_000_000
# Five satellites, and on the ground the unsplit model that the report compares with.
RAM_BYTES = 13_000_000_000
NICE = ("nice", "-n", "10")


def main() -> int:
    """Exit code 0 if all of it was shown; 2 if this computer cannot try."""
    parser = argparse.ArgumentParser(prog="make big", description=__doc__)
    parser.add_argument("--images", type=int, default=4, metavar="N", help="images of the shipped bag (default: 4)")
    images = parser.parse_args().images
    if images < 1:
        parser.error(f"--images is {images}; at least 1 is needed")
    if complaint := lack(shutil.disk_usage(Path.cwd()).free, available_bytes(Path("/proc/meminfo").read_text())):
        print(f"make big: {complaint}", file=sys.stderr)
        return 2
    # Ends as with Ctrl-C: every process is ended with its block.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # No message leaves this computer.
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with tempfile.TemporaryDirectory(prefix="big_", dir=Path.cwd()) as name, limits_of(LIMIT_BYTES) as limits:
        return show(Path(name), limits, images)


def show(folder: Path, limits: Limits, images: int) -> int:
    """Fly, print and judge; everything is written below `folder`."""
    say(f"limit: {LIMIT_BYTES / 1e9:g} GB by {limits.name}")
    begun_s = time.monotonic()
    cargo = save_cargo(folder, ARCHITECTURE, {}, images)
    size = cargo.checkpoint.stat().st_size
    say(
        f"model: {ARCHITECTURE}, {cargo.spec.blocks} blocks, {sum(cargo.spec.layer_bytes) // 2:,} random parameters of"
        f" bfloat16; {size / 1e9:.2f} GB on disk, in {folder} until the end ({time.monotonic() - begun_s:.0f} s)"
    )
    limited = run_unsplit(cargo, folder / "limited.npz", limits, NICE)
    failure = how_it_failed(limited.code, limited.errors, limited.limit.kills() if limited.limit else 0)
    say(f"unsplit, under the limit: {failure or f'exit code {limited.code}'}")
    begun_s = time.monotonic()
    free = run_unsplit(cargo, folder / "unlimited.npz", before=NICE)
    if free.code:
        print(free.errors, file=sys.stderr)
        say(f"unsplit, without a limit: exit code {free.code}; nothing to compare with")
        return 1
    say(f"unsplit, without a limit: logits of {images} images ({time.monotonic() - begun_s:.0f} s)")
    begun_s = time.monotonic()
    flown = fly(
        cargo,
        folder / "flight",
        limits,
        satellites=SATELLITES,
        memory_bytes=MEMORY_BYTES,
        limit_bytes=LIMIT_BYTES,
        before=NICE,
    )
    say(f"split, over DDS: ended with exit code {flown.exit_code} ({time.monotonic() - begun_s:.0f} s)\n")
    print(table(flown.rows), flush=True)
    expected = read_logits(folder / "unlimited.npz")
    wrong = complaints(flown.rows, flown.exit_code, expected, flown.logits)
    if not failure:
        wrong.append(f"the unsplit model did not fail for want of memory: exit code {limited.code} {limited.errors}")
    if wrong:
        print(flown.output, file=sys.stderr)
        print("\nFAILED: " + "; ".join(wrong), flush=True)
        return 1
    print(
        f"\nPASSED: {images} images through {len(flown.rows)} processes of at most {LIMIT_BYTES / 1e9:g} GB; the logits"
        f" ({images} x {len(cargo.spec.classes)}) equal those of the unsplit model bit for bit; under that limit the"
        f" unsplit model fails",
        flush=True,
    )
    return 0


def lack(free_disk_bytes: int, free_ram_bytes: int) -> str:
    """What this computer has too little of, in a sentence; empty if nothing."""
    if free_disk_bytes < DISK_BYTES:
        return f"{free_disk_bytes / 1e9:.1f} GB of disk are free in {Path.cwd()}, {DISK_BYTES / 1e9:g} are needed"
    if free_ram_bytes < RAM_BYTES:
        return f"{free_ram_bytes / 1e9:.1f} GB of memory are available, {RAM_BYTES / 1e9:g} are needed"
    return ""


def available_bytes(meminfo: str) -> int:
    """Memory that can be had without swapping, from /proc/meminfo."""
    sizes = dict(line.split(":") for line in meminfo.splitlines())
    return 1024 * int(sizes["MemAvailable"].split()[0])


def say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
