import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer

from satllm_ros.compression.tables.artefacts import Artefacts, save_artefacts
from satllm_ros.compression.tables.measurement import Measurement
from satllm_ros.constellation import preflight
from satllm_ros.constellation.file import Constellation, SatelliteConfig, SourceConfig
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.data.rosbag.bag_writer import IMAGE_TOPIC, LabelledFrame, write_bag
from satllm_ros.data.rosbag.typestore import bag_typestore
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.links.real_links import LONG_S
from satllm_ros.model.spec import ModelSpec, read_spec

BLOCKS = 3


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def save_model(folder: Path, seed: int) -> Path:
    import torch

    from satllm_ros.model.checkpoints.checkpoint import save_checkpoint
    from satllm_ros.model.structure import build

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    architecture = "vit_tiny_patch16_224"
    arguments = {"depth": BLOCKS, "embed_dim": 16, "num_heads": 2, "img_size": 16, "patch_size": 8, "num_classes": 2}
    path = folder / f"model{seed}.safetensors"
    model = build(architecture, arguments)
    save_checkpoint(path, model, architecture, arguments, (0.5,) * 3, (0.25,) * 3, ("land", "sea"))
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with two models, artefacts of the first, a bag, and a folder of images."""
    folder = tmp_path_factory.mktemp("flight")
    spec = read_spec(save_model(folder, 1))
    save_model(folder, 2)
    measured = {"raw": Measurement(accuracy=0.9, ratio=1.0)}
    save_artefacts(folder / "codec.safetensors", Artefacts(spec.model_id, spec.prefix_tokens, spec.width, {}, measured))
    write_bag(folder / "bag", [LabelledFrame(jpeg(), 0, "land", "one")])
    (folder / "images").mkdir()
    (folder / "images" / "a.jpg").write_bytes(jpeg())
    return folder


@pytest.fixture(scope="session")
def spec(files: Path) -> ModelSpec:
    return read_spec(files / "model1.safetensors")


def satellites(count: int, memory_bytes: int = 10**9) -> tuple[SatelliteConfig, ...]:
    return tuple(SatelliteConfig(f"sat{k + 1}", memory_bytes, 0.01) for k in range(count))


@pytest.fixture
def good(files: Path) -> Constellation:
    """Two satellites that can fly."""
    return Constellation(
        checkpoint=str(files / "model1.safetensors"),
        artefacts=str(files / "codec.safetensors"),
        source=SourceConfig("bag", str(files / "bag")),
        batch_tiles=4,
        window_batches=2,
        upload_encoding="jpeg",
        codecs=("raw",),
        accuracy_floor=0.0,
        threads=1,
        emulate_compute=True,
        emulate_links=True,
        satellites=satellites(2),
        links={kind: LinkRates(1e6, 0.01) for kind in ("upload", "isl", "s2g")},
    )


@pytest.mark.parametrize(
    "source", [SourceConfig("bag", "bag"), SourceConfig("bag", "bag", IMAGE_TOPIC), SourceConfig("folder", "images")]
)
def test_a_constellation_that_can_fly_passes(files: Path, good: Constellation, source: SourceConfig) -> None:
    preflight.check(replace(good, source=replace(source, path=str(files / source.path))))
    preflight.check(replace(good, source=SourceConfig("topic"), satellites=satellites(BLOCKS)))


def refusal(constellation: Constellation, kind: type[Exception] = ValueError) -> str:
    """The sentence with which the check refuses."""
    with pytest.raises(kind) as error:
        preflight.check(constellation)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_frames_of_a_size_that_the_model_does_not_take_are_refused(good: Constellation) -> None:
    source = replace(good.source, pixels=PixelRules(resize=32))
    assert "resize is 32, but the model takes 16x16 pixels" in refusal(replace(good, source=source))
    preflight.check(replace(good, source=replace(good.source, pixels=PixelRules((1,), 0.5, 16))))


def test_more_satellites_than_blocks_can_fly_without_some(good: Constellation) -> None:
    preflight.check(replace(good, satellites=satellites(BLOCKS + 1)))


def test_memory_too_small_for_any_split(good: Constellation, spec: ModelSpec) -> None:
    largest = max(spec.layer_bytes)
    sentence = refusal(replace(good, satellites=satellites(2, largest - 1)), preflight.NoPlanError)
    assert "memory is too small" in sentence and f"{largest - 1:,} bytes" in sentence
    exact = (*satellites(1, sum(spec.layer_bytes[:1])), SatelliteConfig("sat2", sum(spec.layer_bytes[1:]), 0.01))
    preflight.check(replace(good, satellites=exact))


def test_an_accuracy_floor_no_setting_reaches(good: Constellation, spec: ModelSpec) -> None:
    parted = replace(good, satellites=satellites(2, sum(spec.layer_bytes) - 1))
    preflight.check(parted)
    sentence = refusal(replace(parted, accuracy_floor=0.95), preflight.NoPlanError)
    assert "0.95" in sentence and "raw with 0.9" in sentence
    # Nothing is compressed where one satellite holds the whole model.
    preflight.check(replace(good, accuracy_floor=0.95))


def test_batches_too_long_for_a_real_link(good: Constellation, spec: ModelSpec) -> None:
    slow = {kind: LinkRates(50.0 if kind == "isl" else 1e6, 0.0) for kind in good.links}
    parted = replace(good, satellites=satellites(2, sum(spec.layer_bytes) - 1), links=slow)
    preflight.check(parted)
    sentence = refusal(replace(parted, emulate_links=False), preflight.NoPlanError)
    assert sentence.startswith("a batch of 4 tiles takes ") and "from sat1 to sat2" in sentence

    # On a long link there is less room, as the planner in flight reckons too.
    def refused(rate_bps: float, delay_s: float) -> bool:
        links = good.links | {"upload": LinkRates(rate_bps, delay_s)}
        try:
            preflight.check(replace(good, links=links, upload_encoding="rgb8", emulate_links=False))
        except preflight.NoPlanError:
            return True
        return False

    low_bps, enough_bps = 1.0, 1e6
    while enough_bps / low_bps > 1.001:
        middle_bps = (low_bps * enough_bps) ** 0.5
        low_bps, enough_bps = (middle_bps, enough_bps) if refused(middle_bps, 0.0) else (low_bps, middle_bps)
    assert not refused(1.02 * enough_bps, 0.0) and refused(1.02 * enough_bps, LONG_S)
    # Of raw images the size is known before any is read.
    upload = replace(good, links=good.links | {"upload": LinkRates(100.0, 0.0)}, emulate_links=False)
    preflight.check(upload)
    assert "from sensing to sat1" in refusal(replace(upload, upload_encoding="rgb8"), preflight.NoPlanError)


def test_a_public_key_that_is_none(good: Constellation) -> None:
    assert "hexadecimal" in refusal(replace(good, public_key="ab" * 31))


def test_a_codec_that_was_not_measured_or_is_none(good: Constellation) -> None:
    assert "int8" in refusal(replace(good, codecs=("raw", "int8")))
    assert "'zip'" in refusal(replace(good, codecs=("zip",)))


def test_files_of_measurements_are_looked_at_where_the_planner_is(files: Path, good: Constellation) -> None:
    absent = str(files / "absent.yaml")
    measured = replace(good.satellites[0], profile=absent)
    for constellation in (replace(good, calibration=absent), replace(good, satellites=(measured,))):
        assert absent in refusal(constellation, FileNotFoundError)
        preflight.check(constellation, planner_is_here=False)
    wrong = replace(measured, profile=str(files / "codec.safetensors"))
    assert "codec.safetensors is not YAML" in refusal(replace(good, satellites=(wrong,)))


Break = Callable[[Path, Constellation], Constellation]
BROKEN: dict[str, tuple[Break, type[Exception], tuple[str, ...]]] = {
    "missing checkpoint": (
        lambda f, c: replace(c, checkpoint=str(f / "absent.safetensors")),
        FileNotFoundError,
        ("absent.safetensors",),
    ),
    "missing artefacts": (
        lambda f, c: replace(c, artefacts=str(f / "absent.codec")),
        FileNotFoundError,
        ("absent.codec",),
    ),
    "checkpoint that is none": (
        lambda f, c: replace(c, checkpoint=str(f / "images" / "a.jpg")),
        ValueError,
        ("a.jpg",),
    ),
    "artefacts of another model": (
        lambda f, c: replace(c, checkpoint=str(f / "model2.safetensors")),
        ValueError,
        ("codec.safetensors", "model"),
    ),
    "missing bag": (
        lambda f, c: replace(c, source=SourceConfig("bag", str(f / "nowhere"))),
        ValueError,
        ("nowhere", "does not exist"),
    ),
    "folder that is no bag": (
        lambda f, c: replace(c, source=SourceConfig("bag", str(f / "images"))),
        ValueError,
        ("images", "not a rosbag2 bag"),
    ),
    "topic that is not in the bag": (
        lambda f, c: replace(c, source=replace(c.source, image_topic="/left")),
        ValueError,
        ("/left", IMAGE_TOPIC),
    ),
    "missing folder": (
        lambda f, c: replace(c, source=SourceConfig("folder", str(f / "nowhere"))),
        ValueError,
        ("nowhere", "does not exist"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_named(files: Path, good: Constellation, case: str) -> None:
    break_it, kind, words = BROKEN[case]
    sentence = refusal(break_it(files, good), kind)
    assert all(word in sentence for word in words), sentence


def test_artefacts_of_another_model_name_both(files: Path, good: Constellation, spec: ModelSpec) -> None:
    other = read_spec(files / "model2.safetensors")
    sentence = refusal(replace(good, checkpoint=str(files / "model2.safetensors")))
    assert spec.model_id in sentence and other.model_id in sentence


def test_a_folder_without_images(tmp_path: Path, good: Constellation) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    sentence = refusal(replace(good, source=SourceConfig("folder", str(tmp_path))))
    assert str(tmp_path) in sentence and ".jpg" in sentence


def write_empty_bag(path: Path, topic: str, type_name: str) -> None:
    """A bag with a topic and no message on it."""
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection(topic, type_name, typestore=bag_typestore())


def test_a_bag_without_an_image_topic(tmp_path: Path, good: Constellation) -> None:
    write_empty_bag(tmp_path / "words", "/chatter", "std_msgs/msg/String")
    sentence = refusal(replace(good, source=SourceConfig("bag", str(tmp_path / "words"))))
    assert "no image topic" in sentence and "/chatter" in sentence


def test_a_bag_whose_image_topic_is_empty(tmp_path: Path, good: Constellation) -> None:
    write_empty_bag(tmp_path / "dark", "/camera/image", "sensor_msgs/msg/Image")
    sentence = refusal(replace(good, source=SourceConfig("bag", str(tmp_path / "dark"))))
    assert "/camera/image" in sentence and "has no images" in sentence
