"""`satllm compress`, `decompress` and `inspect`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_models import SamplesMaker
from safetensors.numpy import load_file, save_file

from satllm_ros.cli.main import main
from satllm_ros.compression.codec import decode
from satllm_ros.compression.tables.artefacts import Artefacts, save_artefacts


@pytest.fixture
def folder(tmp_path: Path, full_artefacts: Artefacts, samples_maker: SamplesMaker) -> Path:
    save_artefacts(tmp_path / "codec.safetensors", full_artefacts)
    np.save(tmp_path / "in.npy", samples_maker(images=4))
    save_file({"a": samples_maker(images=4), "b": np.zeros((2, 2))}, tmp_path / "in.safetensors")
    return tmp_path


def run(folder: Path, command: str, *words: object) -> int:
    return main([command, *map(str, words), "--artefacts", str(folder / "codec.safetensors")])


@pytest.mark.parametrize("setting", ["raw", "int8", "topk:0.3:8", "mask:0.3:8", "mask_dynamic:0.3:8", "klt:8"])
def test_a_tensor_goes_into_a_file_and_back(
    folder: Path, setting: str, full_artefacts: Artefacts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "compress", folder / "in.npy", folder / "frame", "--cut", 2, "--setting", setting) == 0
    for name in ("out.npy", "out.safetensors"):
        assert run(folder, "decompress", folder / "frame", folder / name) == 0
    expected = decode((folder / "frame").read_bytes(), full_artefacts, max_elements=10**4).activation
    np.testing.assert_array_equal(np.load(folder / "out.npy"), expected)
    np.testing.assert_array_equal(load_file(folder / "out.safetensors")["activation"], expected)
    capsys.readouterr()
    assert run(folder, "inspect", folder / "frame") == 0
    printed = capsys.readouterr().out
    assert f"{setting}, cut 2, 4 images of 10 x 8, P = 1" in printed
    assert f"{(folder / 'frame').stat().st_size} bytes of 1280" in printed
    assert ("Eq. 7 estimates" in printed) == (setting != "raw")


def test_bytes_an_image_are_kept(folder: Path) -> None:
    words = ("--cut", 2, "--bytes-per-image", 40, "--name", "a")
    assert run(folder, "compress", folder / "in.safetensors", folder / "frame", *words) == 0
    assert (folder / "frame").stat().st_size <= 160


@pytest.mark.parametrize(
    ("tensor", "words", "sentence"),
    [
        ("in.safetensors", ("--setting", "raw"), "holds the tensors a, b; name one of them"),
        ("in.safetensors", ("--setting", "raw", "--name", "b"), "float64 (2, 2), must be floats (N, S, D)"),
        ("codec.safetensors", ("--setting", "raw", "--name", "x"), "name one of them"),
        ("in.txt", ("--setting", "raw"), "neither .npy nor .safetensors"),
        ("in.npy", ("--setting", "zip"), "'zip' is unknown"),
        ("in.npy", ("--max-loss", "0.01"), "no measurement of setting raw"),
        ("in.npy", ("--bytes-per-image", "1"), "is the least for this activation"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    folder: Path, tensor: Any, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "compress", folder / tensor, folder / "frame", "--cut", 2, *words) == 2
    assert sentence in capsys.readouterr().err
    assert not (folder / "frame").exists()


def test_a_damaged_frame_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "compress", folder / "in.npy", folder / "frame", "--cut", 2, "--setting", "klt:8")
    damaged = bytearray((folder / "frame").read_bytes())
    damaged[70] ^= 1
    (folder / "frame").write_bytes(damaged)
    for words in (("inspect", folder / "frame"), ("decompress", folder / "frame", folder / "out.npy")):
        assert run(folder, *words) == 2
        assert "CRC-32" in capsys.readouterr().err
