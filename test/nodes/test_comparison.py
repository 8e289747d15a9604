"""What flown predictions are compared with."""

import io
from pathlib import Path

import pytest
from PIL import Image

from satllm_ros.data.bag_writer import LabelledFrame, write_bag
from satllm_ros.nodes.comparison import bag_truth


def write_labels(path: Path, *labels: tuple[int, str]) -> Path:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "PNG")
    write_bag(path, [LabelledFrame(buffer.getvalue(), number, name, name) for number, name in labels])
    return path


def test_the_true_class_of_each_frame(tmp_path: Path) -> None:
    bag = write_labels(tmp_path / "bag", (1, "Lake"), (0, "Field"), (1, ""))
    truth = bag_truth(bag, ("Field", "Lake"))
    assert [truth[key] for key in sorted(truth)] == [1, 0, 1]


@pytest.mark.parametrize("label", [(0, "roof"), (2, "solar")])
def test_labels_of_other_classes_are_no_truth(label: tuple[int, str], tmp_path: Path) -> None:
    bag = write_labels(tmp_path / "bag", (1, "Lake"), label)
    with pytest.raises(
        ValueError, match=f"labels an image '{label[1]}', class {label[0]}; the model's classes are Field, Lake"
    ):
        bag_truth(bag, ("Field", "Lake"))
