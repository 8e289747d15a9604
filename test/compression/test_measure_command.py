"""`satllm measure-codec` on the shipped model and a handful of images."""

import numpy as np
import pytest
from PIL import Image

from satllm_ros.cli import main


@pytest.fixture
def data(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("AnnualCrop", "Forest"):
        folder = tmp_path / "test" / name
        folder.mkdir(parents=True)
        for number in range(3):
            pixels = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}_{number}.png")
    return tmp_path


def run(data, *words):
    return main(["measure-codec", "--data", str(data), *map(str, words)])


def test_it_prints_accuracy_and_bytes_of_each_setting(data, capsys):
    assert run(data, "--images", 5, "--cuts", 3, 8, "--settings", "raw", "int8") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == "5 images of split 'test', 2 cuts: 3 8"
    assert [row.split()[0] for row in rows] == ["raw", "int8"]
    assert "accuracy" in rows[0] and "1.0x" in rows[0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--images", 7, "--settings", "raw"), "--images 7 is not allowed; split 'test' has 6"),
        (("--images", 2, "--cuts", 3, 12, "--settings", "raw"), "--cuts 3 12 must ascend and lie within 1 to 11"),
        (("--images", 2, "--cuts", 3, 3, "--settings", "raw"), "--cuts 3 3 must ascend"),
        (("--images", 2, "--settings", "zip"), "'zip' is unknown"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(data, words, sentence, capsys):
    assert run(data, *words) == 2
    assert sentence in capsys.readouterr().err
