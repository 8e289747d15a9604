"""`satllm make-bag`."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `make-bag`."""
    parser = subparsers.add_parser(
        "make-bag",
        help="write a labelled bag from a data set",
        description="Write a rosbag2 bag (MCAP) with equally many images of each class, as compressed "
        "images, and their true classes on a second topic. `ros2 bag play` and `satllm up --bag` replay it.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="Parquet file, or folder of class folders, possibly under train/ and test/",
    )
    parser.add_argument("--split", default="test", help="split to take, or all (default: %(default)s)")
    parser.add_argument("--per-class", type=int, default=50, help="images of each class (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of choice and order (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="bag folder to create")
    parser.set_defaults(run=make_bag)


def make_bag(args: argparse.Namespace) -> int:
    """Run `make-bag`; returns the exit code."""
    from satllm_ros.data.labelled.datasets import load_dataset
    from satllm_ros.data.labelled.selection import alternating_sample
    from satllm_ros.data.rosbag.bag_writer import IMAGE_TOPIC, LABEL_TOPIC, LabelledFrame, write_bag

    dataset = load_dataset(args.data, args.split)
    indices = alternating_sample(dataset, args.per_class, args.seed)
    frames = (
        LabelledFrame(
            image=dataset.jpeg(int(index)),
            label=int(dataset.labels[index]),
            class_name=dataset.classes[dataset.labels[index]],
            name=dataset.filenames[index],
        )
        for index in indices
    )
    count = write_bag(args.out, frames)
    print(f"{args.out}: {count} images on {IMAGE_TOPIC}, their classes on {LABEL_TOPIC}")
    return 0
