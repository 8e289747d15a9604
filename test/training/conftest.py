import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.model.spec import read_spec
from satllm_ros.training.recipe import Recipe

SIDE = 16


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def colored_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy 16x16 images of three classes told apart by their color: 20 train and 8 test images of each."""
    root = tmp_path_factory.mktemp("colored")
    generator = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 8)):
        for channel, name in enumerate(("blue", "green", "red")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 120, (SIDE, SIDE, 3), dtype=np.uint8)
                pixels[..., 2 - channel] += 120
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG")
                (folder / f"{number}.png").write_bytes(buffer.getvalue())
    return root


@pytest.fixture
def tiny_recipe() -> Recipe:
    arguments = {"img_size": SIDE, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    return Recipe(arguments=arguments, epochs=3, batch_size=16, learning_rate=1e-2)


@pytest.fixture
def noise_data(tmp_path: Path) -> Path:
    """For the shipped model: a test image of noisy colors for each of its classes, and no training images."""
    generator = np.random.default_rng(0)
    for name in read_spec(asset(DEMO_CHECKPOINT)).classes:
        folder = tmp_path / "data" / "test" / name
        folder.mkdir(parents=True)
        colors = np.kron(generator.integers(0, 200, (2, 2, 3)), np.ones((32, 32, 1), dtype=int))
        image = colors + generator.integers(0, 56, (64, 64, 3))
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{name}.png")
    (tmp_path / "data" / "train").mkdir()
    return tmp_path / "data"
