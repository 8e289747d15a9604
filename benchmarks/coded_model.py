"""What the benchmarks of compression run: a model with its artefacts, on images drawn from a data set."""

import argparse
from pathlib import Path

import numpy as np

from satllm_ros.assets.paths import DEMO, artefacts_path, checkpoint_path
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.data.labelled.dataset import Dataset
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.model.spec import read_spec
from satllm_ros.training.evaluation.coded import CodedModel


def add_arguments(parser: argparse.ArgumentParser, images: int) -> None:
    """Those that `load` reads; `images` by default."""
    parser.add_argument("--checkpoint", default=DEMO)
    parser.add_argument("--artefacts", default=DEMO)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=10)


def load(parser: argparse.ArgumentParser, args: argparse.Namespace) -> tuple[CodedModel, Dataset, np.ndarray]:
    """The model, the data set and the indices of the images (n,)."""
    if args.data is None:
        parser.error("--data is needed")
    checkpoint = checkpoint_path(args.checkpoint)
    artefacts = load_artefacts(artefacts_path(args.artefacts), model_id=read_spec(checkpoint).model_id)
    dataset = load_dataset(args.data, args.split)
    model = CodedModel(checkpoint, artefacts)
    dataset.check_classes(model.spec.classes, "the model")
    return model, dataset, dataset.draw(args.images, args.seed)
