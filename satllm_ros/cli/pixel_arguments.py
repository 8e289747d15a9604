"""`--bands`, `--pixel-scale` and `--resize` of the commands that read labelled images."""

import argparse

from satllm_ros.data.images.pixels import PixelRules, parse_bands


def add_pixel_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the three arguments; see `pixel_rules`."""
    group = parser.add_argument_group("pixels", "what the images do not declare themselves; see docs/images.md")
    group.add_argument("--bands", metavar="R,G,B", help="bands to take as red, green, blue, or one as gray, from 1")
    group.add_argument(
        "--pixel-scale", type=float, metavar="FACTOR", help="from a sample to 0..255, where it is not 8 bits unsigned"
    )
    group.add_argument(
        "--resize", type=int, metavar="N", help="bring images to N x N: short side to N, then the middle of it"
    )


def pixel_rules(args: argparse.Namespace) -> PixelRules:
    """What was given; raises PixelRulesError if it is not allowed."""
    return PixelRules(parse_bands(args.bands or ""), args.pixel_scale, args.resize)
