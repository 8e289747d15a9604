from pathlib import Path

import pytest

from satllm_ros.assets import paths as assets_path
from satllm_ros.assets.paths import artefacts_path, asset, bag_path, checkpoint_path


@pytest.mark.parametrize("find", [checkpoint_path, artefacts_path, bag_path])
def test_demo_is_shipped_and_any_other_word_is_a_path(find: object) -> None:
    assert find("demo").exists()
    assert find("demo").parent.name == "assets"
    assert find("some/where") == Path("some/where")
    assert find("./demo") == Path("demo"), "a file of the user's own that is called demo can be named"


def test_shipped_checkpoint_and_artefacts_belong_together() -> None:
    from satllm_ros.compression.tables.artefacts import load_artefacts
    from satllm_ros.model.spec import read_spec

    spec = read_spec(checkpoint_path("demo"))
    artefacts = load_artefacts(artefacts_path("demo"), model_id=spec.model_id)
    assert set(artefacts.scales) == set(range(1, spec.blocks)), "every cut can be flown"
    assert (artefacts.width, artefacts.prefix_tokens) == (spec.width, spec.prefix_tokens)


def test_shipped_bag_has_500_images_50_a_class() -> None:
    from collections import Counter

    from bag_fields import fields_of

    from satllm_ros.data.rosbag.bag import count_messages, image_topic, label_topic, read_messages

    path = bag_path("demo")
    assert count_messages(path, image_topic(path)) == 500
    labels = Counter(fields_of(message).label for message in read_messages(path, [label_topic(path)]))
    assert labels == dict.fromkeys(range(10), 50)


def test_an_asset_that_is_not_shipped_is_named_with_those_that_are() -> None:
    with pytest.raises(FileNotFoundError, match=f"'eurosat_501'.*{assets_path.DEMO_BAG}"):
        asset("eurosat_501")
