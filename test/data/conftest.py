import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

EncodeImage = Callable[..., bytes]


@pytest.fixture(scope="session")
def encode_image() -> EncodeImage:
    """(seed, size, format) -> bytes of an image file of random pixels."""

    def encode(seed: int = 0, size: int = 8, format: str = "JPEG") -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format)
        return buffer.getvalue()

    return encode


@pytest.fixture
def class_folders(tmp_path: Path, encode_image: EncodeImage) -> Path:
    """Split folders with the classes Field, Forest, Lake: 6 train and 3 test images of each."""
    root = tmp_path / "folders"
    for split, count in (("train", 6), ("test", 3)):
        for label, name in enumerate(("Field", "Forest", "Lake")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{name}_{number}.jpg").write_bytes(
                    encode_image(100 * label + number + 10 * (split == "test"))
                )
    return root


@pytest.fixture
def parquet_table(class_folders: Path) -> pa.Table:
    """The same images as `class_folders`, as a table with the columns of a Parquet data set."""
    files = [file for split in ("train", "test") for file in sorted((class_folders / split).glob("*/*.jpg"))]
    names = [file.parent.name for file in files]
    return pa.table(
        {
            "filename": [file.name for file in files],
            "label": pa.array([("Field", "Forest", "Lake").index(name) for name in names], pa.int8()),
            "class_name": pa.array(names).dictionary_encode(),
            "split": pa.array([file.parent.parent.name for file in files]).dictionary_encode(),
            "image": pa.array([file.read_bytes() for file in files], pa.binary()),
        }
    )


@pytest.fixture
def parquet_file(tmp_path: Path, parquet_table: pa.Table) -> Path:
    path = tmp_path / "data.parquet"
    pq.write_table(parquet_table, path, row_group_size=5)
    return path
