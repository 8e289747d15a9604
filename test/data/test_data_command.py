import argparse
from pathlib import Path

import numpy as np
import pytest
from bag_fields import fields_of

from satllm_ros.assets.paths import DEMO_BAG, asset
from satllm_ros.cli.bag import add_parser
from satllm_ros.data.images.decoding import decode_image
from satllm_ros.data.labelled.dataset import DatasetError
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.data.labelled.selection import alternating_sample
from satllm_ros.data.rosbag.bag import count_messages, image_topic, label_topic, read_messages


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["make-bag", *map(str, arguments)])
    return args.run(args)


def test_make_bag_writes_the_data_sets_own_bytes_with_classes_alternating(
    parquet_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bag"
    assert run("--data", parquet_file, "--per-class", 2, "--seed", 3, "--out", out) == 0
    assert "6 images on /camera/image/compressed" in capsys.readouterr().out
    dataset = load_dataset(parquet_file, "test")
    originals = {dataset.jpeg(i): int(dataset.labels[i]) for i in range(len(dataset))}
    images = [bytes(fields_of(message).data) for message in read_messages(out, [image_topic(out)])]
    labels = [fields_of(message).label for message in read_messages(out, [label_topic(out)])]
    assert [originals[image] for image in images] == labels
    assert len(set(images)) == 6
    assert set(labels[:3]) == set(labels[3:]) == {0, 1, 2}


def test_the_sample_is_balanced_seeded_and_refuses_too_many(parquet_file: Path) -> None:
    dataset = load_dataset(parquet_file, "train")
    sample = alternating_sample(dataset, 4, 0)
    assert len(set(sample.tolist())) == 12
    assert np.bincount(dataset.labels[sample]).tolist() == [4, 4, 4]
    assert np.array_equal(sample, alternating_sample(dataset, 4, 0))
    assert not np.array_equal(sample, alternating_sample(dataset, 4, 1))
    with pytest.raises(DatasetError, match="class Field has 6 images in this split; 7 were asked for"):
        alternating_sample(dataset, 7, 0)
    with pytest.raises(DatasetError, match="at least 1"):
        alternating_sample(dataset, 0, 0)


def test_the_shipped_bag_has_fifty_readable_images_of_each_class() -> None:
    bag = asset(DEMO_BAG)
    assert count_messages(bag, image_topic(bag)) == 500
    labels = [fields_of(message).label for message in read_messages(bag, [label_topic(bag)])]
    assert np.bincount(labels).tolist() == [50] * 10
    for message in read_messages(bag, [image_topic(bag)]):
        assert decode_image(bytes(fields_of(message).data), message.topic).shape == (64, 64, 3)
