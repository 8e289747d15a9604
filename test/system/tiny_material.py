"""Material for flights that take seconds: a tiny model, codec artefacts made for it, a bag and a folder of images."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from satllm_ros.data.rosbag.bag_writer import LabelledFrame, write_bag

SIDE, PATCH = 32, 8
BLOCKS = 4
CLASSES = ("crop", "forest", "river", "road", "sea")
ARGUMENTS = {
    "depth": BLOCKS,
    "embed_dim": 48,
    "num_heads": 3,
    "img_size": SIDE,
    "patch_size": PATCH,
    "num_classes": len(CLASSES),
}
MEAN = (0.3, 0.4, 0.5)
STD = (0.2, 0.1, 0.3)
ACCURACY = {"raw": 0.9, "int8": 0.8, "fp16": 0.9}
# Strengths that are usual when a codec's name alone is said.
ACCURACY |= dict.fromkeys(("topk:0.2:8", "randtopk:0.2:8", "mask:0.2:8", "mask_dynamic:0.2:8", "klt:16"), 0.8)


@dataclass(frozen=True)
class Material:
    """Files of a model and something to fly through it."""

    checkpoint: Path
    artefacts: Path
    bag: Path
    bag_tiles: int


def picture(number: int, width: int = SIDE, height: int = SIDE) -> np.ndarray:
    """A smooth colored picture, uint8 RGB (height, width, 3), its own for every number."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def encoded(rgb: np.ndarray, kind: str = "JPEG") -> bytes:
    """Bytes of an image file."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, kind)
    return buffer.getvalue()


def save_model(path: Path, seed: int, blocks: int = BLOCKS, side: int = SIDE, patch: int = PATCH) -> Path:
    """Checkpoint of a tiny transformer with random weights that make every part matter."""
    import torch

    from satllm_ros.model.checkpoints.checkpoint import save_checkpoint
    from satllm_ros.model.structure import build

    arguments = ARGUMENTS | {"depth": blocks, "img_size": side, "patch_size": patch}
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build("vit_tiny_patch16_224", arguments)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(parameter.to(torch.float32) + 0.05 * torch.randn_like(parameter))
    save_checkpoint(path, model, "vit_tiny_patch16_224", arguments, MEAN, STD, CLASSES)
    return path


def save_codec(path: Path, checkpoint: Path, images: Path) -> Path:
    """Codec artefacts of a checkpoint, from a folder of class folders, by the command that users have.

    An untrained model has no accuracy to lose, so the accuracies are replaced by `ACCURACY`.
    """
    from satllm_ros.cli.main import main
    from satllm_ros.compression.tables.artefacts import load_artefacts, save_artefacts
    from satllm_ros.compression.tables.measurement import Measurement

    arguments = ["calibrate-codec", "--checkpoint", checkpoint, "--data", images, "--out", path]
    assert main([*map(str, arguments), "--images", "20", "--measure-images", "20", "--settings", *ACCURACY]) == 0
    artefacts = load_artefacts(path)
    stated = {name: Measurement(ACCURACY[name], m.ratio) for name, m in artefacts.measurements.items()}
    save_artefacts(path, replace(artefacts, measurements=stated))
    return path


def save_class_folders(folder: Path, side: int = SIDE) -> Path:
    """The same small number of pictures of every class, split into train and test."""
    for split, first in (("train", 1000), ("test", 2000)):
        for label, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for place in range(8):
                number = first + 8 * label + place
                (folder / split / name / f"{number}.jpg").write_bytes(encoded(picture(number, side, side)))
    return folder


def save_bag(path: Path, images: list[bytes]) -> Path:
    """Bag of encoded images with some true class each."""
    labels = (place % len(CLASSES) for place in range(len(images)))
    write_bag(
        path,
        (
            LabelledFrame(image, label, CLASSES[label], str(n))
            for n, (image, label) in enumerate(zip(images, labels, strict=True))
        ),
    )
    return path


def save_material(folder: Path, tiles: int, blocks: int = BLOCKS, side: int = SIDE, patch: int = PATCH) -> Material:
    """Everything a flight needs; activations grow with the square of `side` over `patch`."""
    checkpoint = save_model(folder / "tiny.safetensors", seed=1, blocks=blocks, side=side, patch=patch)
    images = save_class_folders(folder / "images", side)
    artefacts = save_codec(folder / "tiny.codec.safetensors", checkpoint, images)
    bag = save_bag(folder / "bag", [encoded(picture(number, side, side)) for number in range(tiles)])
    return Material(checkpoint, artefacts, bag, tiles)
