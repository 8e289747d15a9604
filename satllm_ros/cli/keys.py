"""`satllm make-key` and `satllm seal-plan`: plans that satellites trust."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register both commands."""
    key = subparsers.add_parser(
        "make-key",
        help="make a key that plans are signed with",
        description="Write a new Ed25519 private key (PEM) for the planner, and print the public key that sensing, "
        "planner and satellites take as parameter plan_public_key.",
    )
    key.add_argument("file", type=Path, metavar="FILE", help="private key file to write; must not exist")
    key.set_defaults(run=_make_key)
    seal = subparsers.add_parser(
        "seal-plan",
        help="fill in hash and signature of a plan written by hand",
        description="Read a plan (YAML, fields of satllm_ros/msg/Plan) and print it on one line with its hash, ready "
        'for: ros2 topic pub --once --qos-durability transient_local /plan_proposed satllm_ros/msg/Plan "$(satllm '
        'seal-plan FILE)"',
    )
    seal.add_argument("file", metavar="FILE", help="plan to read; - for standard input")
    seal.add_argument("--key", type=Path, metavar="FILE", help="private key to sign it with")
    seal.set_defaults(run=_seal_plan)


def _make_key(args: argparse.Namespace) -> int:
    from satllm_ros.signing.signing import make_key_file

    print(make_key_file(args.file))
    return 0


def _seal_plan(args: argparse.Namespace) -> int:
    from satllm_ros.signing.plan_yaml import plan_from_yaml, plan_to_yaml
    from satllm_ros.signing.signing import load_signing_key, sign

    text = sys.stdin.read() if args.file == "-" else Path(args.file).read_text(encoding="utf-8")
    plan = plan_from_yaml(text).sealed()
    print(plan_to_yaml(sign(plan, load_signing_key(args.key)) if args.key else plan))
    return 0
