"""What cannot fly is refused before anything starts, in one line that names the cause."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from flight import constellation, executable, started, up, write_constellation
from orbit_material import STATION, TARGET, document
from tiny_material import SIDE, Material, encoded, picture, save_bag, save_model

from satllm_ros.cli import main as cli
from satllm_ros.middleware.transports import PROFILE_VARIABLE
from satllm_ros.supervisor import supervisor

Refused = Callable[..., tuple[int, str]]
BLOCK_S = (0.01,)


@pytest.fixture
def refused(material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Refused:
    """Try to fly a constellation with some changes; exit code and the one line of error."""

    def try_to_fly(
        *options: str | Path, satellites: int = 2, memory_bytes: int = 10**6, text: str | None = None, **changes: Any
    ) -> tuple[int, str]:
        content = constellation(material, BLOCK_S * satellites, memory_bytes=memory_bytes, **changes)
        config = write_constellation(tmp_path, content)
        if text is not None:
            config.write_text(text)
        code = cli.main([str(word) for word in up(config, *options)[1:]])
        printed = capsys.readouterr()
        assert printed.out == "" and not (tmp_path / "runs").exists()
        (line,) = printed.err.splitlines()
        return code, line

    def must_not_start(*_: object, **__: object) -> None:
        raise AssertionError("the graph was started")

    monkeypatch.setattr(supervisor, "run_graph", must_not_start)
    return try_to_fly


def test_folder_without_images(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, line = refused("--images", tmp_path / "empty")
    assert code == 2 and "holds no image" in line and str(tmp_path / "empty") in line


def test_a_process_that_is_not_in_the_file(refused: Refused) -> None:
    code, line = refused("--only", "sat1", "sat7", emulate=False)
    assert code == 2 and "--only sat7" in line and "it has sat1, sat2, planner, ground, sensing" in line


def test_single_processes_with_emulated_links(refused: Refused) -> None:
    code, line = refused("--only", "sat1")
    assert code == 2 and "emulate.links is true" in line and "make it false" in line


def test_folder_that_is_no_bag(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    code, line = refused("--bag", tmp_path / "photos")
    assert code == 2 and "is not a rosbag2 bag" in line


def test_bag_that_is_not_there(refused: Refused, tmp_path: Path) -> None:
    code, line = refused("--bag", tmp_path / "nothing")
    assert code == 2 and "nothing does not exist" in line


def test_topic_that_the_bag_does_not_have(refused: Refused, material: Material) -> None:
    code, line = refused("--bag", material.bag, "--image-topic", "/other/camera")
    assert code == 2 and "/other/camera" in line and "/camera/image/compressed" in line


def test_checkpoint_of_another_model(refused: Refused, material: Material, tmp_path: Path) -> None:
    other = save_model(tmp_path / "other.safetensors", seed=2)
    code, line = refused(model={"checkpoint": str(other), "artefacts": str(material.artefacts)})
    assert code == 2 and "are of model" in line and str(material.artefacts) in line


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\xff" * 64])
def test_checkpoint_that_is_none(refused: Refused, material: Material, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    code, line = refused(model={"checkpoint": str(path), "artefacts": str(material.artefacts)})
    assert code == 2 and str(path) in line


def test_checkpoint_that_is_not_there(refused: Refused, material: Material, tmp_path: Path) -> None:
    code, line = refused(model={"checkpoint": str(tmp_path / "lost"), "artefacts": str(material.artefacts)})
    assert code == 2 and "lost" in line


@pytest.mark.parametrize(
    ("sites", "option", "named"),
    [
        ([TARGET], (), "no satellite that flies sees a station within duration_s, 600 s"),
        ([STATION | {"latitude_deg": 0, "longitude_deg": 10}], ("--use-sim-time",), "gives the graph its clock"),
    ],
)
def test_an_orbit_by_which_nothing_can_fly(
    refused: Refused, material: Material, sites: list[dict], option: tuple[str, ...], named: str
) -> None:
    content = constellation(material, BLOCK_S * 2, **document(inclination_deg=0, duration_s=600, sites=sites))
    for slot, satellite in enumerate(content["satellites"]):
        satellite["slot"] = slot
    code, line = refused(*option, text=yaml.safe_dump(content))
    assert code == 2 and named in line


def test_too_little_memory(refused: Refused) -> None:
    code, line = refused(memory_bytes=1000)
    assert code == 3 and "no plan" in line and "memory" in line


def test_accuracy_that_no_setting_has(refused: Refused) -> None:
    # Too little memory for one satellite to hold the whole model, which needs no setting.
    code, line = refused(accuracy_floor=0.99, memory_bytes=400_000)
    assert code == 3 and "0.99" in line


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"batch_tiles": "many"}, "batch_tiles"),
        ({"batch_tiles": 2.5}, "batch_tiles"),
        ({"window_batches": 0}, "window_batches"),
        ({"codecs": ["zip"]}, "zip"),
        ({"codecs": []}, "codecs"),
        ({"upload_encoding": "png"}, "upload_encoding"),
        ({"emulate": {"compute": "yes", "links": True}}, "compute"),
        ({"accuracy_floor": float("nan")}, "accuracy_floor"),
        ({"source": {"kind": "bag"}}, "path"),
        ({"links": {}}, "upload"),
        ({"extra": 1}, "extra"),
    ],
)
def test_field_that_is_wrong(refused: Refused, changes: dict[str, Any], named: str) -> None:
    code, line = refused(**changes)
    assert code == 2 and named in line


@pytest.mark.parametrize("text", ["batch_tiles: [", "- a\n- b\n", "", "\x00"])
def test_file_that_is_no_mapping(refused: Refused, text: str) -> None:
    code, line = refused(text=text)
    assert code == 2 and "constellation.yaml" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROS_DOMAIN_ID", "abc"),
        ("ROS_DOMAIN_ID", "240"),
        ("RMW_IMPLEMENTATION", "rmw_absent_cpp"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF"),
        (PROFILE_VARIABLE, "/does/not/exist.xml"),
    ],
)
def test_settings_that_cannot_fly(refused: Refused, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    code, line = refused()
    assert code == 2 and name in line and value in line


def test_python_that_finds_another_rclpy(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "rclpy").mkdir()
    (tmp_path / "rclpy" / "__init__.py").touch()
    (tmp_path / "rclpy" / "_rclpy_pybind11.cpython-38-x86_64-linux-gnu.so").touch()
    monkeypatch.syspath_prepend(tmp_path)
    code, line = refused()
    assert code == 2 and "cpython-38" in line and "PYTHONPATH" in line


def test_run_folder_that_cannot_be_made(refused: Refused) -> None:
    code, line = refused("--runs", "/proc/1/nothing")
    assert code == 2 and "/proc/1/nothing cannot be made" in line


def test_image_topic_that_chooses_nothing(refused: Refused) -> None:
    code, line = refused("--image-topic", "/camera")
    assert code == 2 and "--bag or --camera" in line
    code, line = refused("--camera", "--image-topic", "no topic")
    assert code == 2 and "'no topic'" in line


def test_process_gives_exit_code_and_no_traceback(tmp_path: Path) -> None:
    ended = subprocess.run(
        [executable("satllm"), "up", tmp_path / "missing.yaml"], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.startswith("satllm: error: ") and "missing.yaml" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_damaged_images_are_counted_and_the_rest_delivered(material: Material, tmp_path: Path) -> None:
    images = [encoded(picture(number)) for number in range(10)]
    images[0] = encoded(picture(0, width=SIDE // 2))
    images[3] = b"\xff\xd8\xff broken"
    bag = save_bag(tmp_path / "damaged", images)
    config = write_constellation(tmp_path, constellation(material, BLOCK_S, emulate=False))
    with started(up(config, "--bag", bag, "--reference", "all"), tmp_path) as flight:
        assert flight.wait() == 1, flight.story()
        assert flight.left_behind() == ([], [])
    summary = json.loads((flight.latest / "summary.json").read_text())
    dropped = {"frame_too_small": 1, "unreadable_image": 1}
    assert summary["tiles"] == {"sent": 8, "received": 8, "duplicates": 0, "lost": 0, "dropped": dropped}
    assert summary["accuracy"]["agreement"] is not None
    with (flight.latest / "results.csv").open(newline="") as file:
        frames = {int(row["frame"]) for row in csv.DictReader(file)}
    assert frames == {2, 3, 5, 6, 7, 8, 9, 10}
    assert "#4 is dropped (unreadable_image)" in flight.errors
    assert "#1 is dropped (frame_too_small)" in flight.errors and "smaller than the model's tile" in flight.errors
    assert "Traceback" not in flight.errors + flight.logs


def test_flight_without_a_single_good_image_ends_at_once(material: Material, tmp_path: Path) -> None:
    bag = save_bag(tmp_path / "damaged", [b"\xff\xd8\xff broken"] * 3)
    config = write_constellation(tmp_path, constellation(material, BLOCK_S))
    with started(up(config, "--bag", bag), tmp_path) as flight:
        assert flight.wait() == 2, flight.story()
        assert flight.left_behind() == ([], [])
    assert "none of the 3 images" in flight.errors and "sensing ended early with exit code 2" in flight.errors
    assert "Traceback" not in flight.errors + flight.logs


def test_a_folder_of_folders_is_refused_with_their_names(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "classes" / "Forest").mkdir(parents=True)
    (tmp_path / "classes" / "Forest" / "1.jpg").write_bytes(encoded(picture(0)))
    code, line = refused("--images", tmp_path / "classes")
    assert code == 2 and "holds no image but 1 folder (Forest): use --recursive" in line
    code, line = refused("--recursive")
    assert code == 2 and "give --images as well" in line
