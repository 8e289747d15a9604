"""A folder of images of all kinds through two satellites at this computer's own speed, inside a namespace."""

import csv
import io
import json
import subprocess
from collections import Counter
from pathlib import Path

from flight import constellation, executable, started, up, write_constellation
from observer import Observer
from PIL import Image
from tiny_material import BLOCKS, SIDE, Material, encoded, picture

from satllm_ros import interfaces as graph
from satllm_ros.data.sources import take_manifest

NAMESPACE = "fleet/a"
NODES = {
    f"/{NAMESPACE}/{name}"
    for name in (
        *(f"{satellite}/{node}" for satellite in ("sat1", "sat2") for node in ("compression", "stage", "downlink")),
        "planner",
        "sensing",
        "ground",
        "recorder",
    )
}
# A process says hello by a node of its own.
HELLOS = {f"/{NAMESPACE}/{name}_hello" for name in ("sat1/downlink", "sat2/downlink", "planner", "sensing", "ground")}


def save_images(folder: Path) -> list[int]:
    """Image files of several kinds; returns the tiles each is cut into, in order of name."""
    folder.mkdir()
    (folder / "1.jpg").write_bytes(encoded(picture(1)))
    (folder / "2.png").write_bytes(encoded(picture(2), "PNG"))
    # Two rows of three tiles, the last of each moved inwards.
    (folder / "3.jpg").write_bytes(encoded(picture(3, width=SIDE * 5 // 2, height=SIDE * 3 // 2)))
    for name, mode, kind in (("4.jpg", "L", "JPEG"), ("5.png", "RGBA", "PNG"), ("6.tif", "RGB", "TIFF")):
        buffer = io.BytesIO()
        Image.fromarray(picture(int(name[0]))).convert(mode).save(buffer, kind)
        (folder / name).write_bytes(buffer.getvalue())
    (folder / "readme.txt").write_text("not an image")
    return [1, 1, 6, 1, 1, 1]


def test_folder_flies_at_own_speed_inside_a_namespace(material: Material, tmp_path: Path) -> None:
    tiles = save_images(tmp_path / "images")
    config = write_constellation(tmp_path, constellation(material, (0.0, 0.0), emulate=False, upload_encoding="rgb8"))
    command = up(config, "--images", tmp_path / "images", "--namespace", NAMESPACE, "--reference", "all")
    with started(command, tmp_path) as flight:
        with Observer(flight, f"/{NAMESPACE}") as observer:
            plans = observer.hear(graph.PLAN_ACTIVE)
            uploads = observer.hear(graph.IMAGES_INBOX, "sat1")
            nodes: set[str] = set()

            def all_nodes_seen() -> bool:
                nodes.update(f"{namespace}/{name}" for name, namespace in observer.node.get_node_names_and_namespaces())
                return nodes >= NODES | HELLOS

            observer.until(all_nodes_seen, "all nodes below the namespace")
            assert observer.until_ended() == 0, flight.story()
        assert nodes - NODES == {"//observer", *HELLOS}
        assert flight.left_behind() == ([], [])

    assert {u.encoding for u in uploads} == {type(uploads[0]).ENCODING_RGB8}
    (plan,) = plans
    assert [(s.satellite, s.start) for s in plan.stages][0] == ("sat1", 0) and plan.stages[-1].stop == BLOCKS

    summary = json.loads((flight.latest / "summary.json").read_text())
    assert summary["tiles"] == {"sent": 11, "received": 11, "duplicates": 0, "lost": 0, "dropped": {}}
    assert not summary["emulated"]
    assert summary["accuracy"]["flown"] is None and summary["accuracy"]["agreement"] >= 0.9
    assert summary["traffic_bytes"]["upload"] is None
    assert summary["makespan_s"]["predicted_exact"] > 0 and summary["throughput"]["of_ideal"] > 0
    for satellite in summary["satellites"]:
        assert satellite["compute_s"] >= satellite["compute_real_s"] > 0 and not satellite["emulated"]
    with (flight.latest / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    source_id = take_manifest("folder", tmp_path / "images", "").source_id
    assert {row["source_id"] for row in rows} == {source_id} and summary["audit"]["adds_up"]
    assert Counter(int(row["frame"]) for row in rows) == Counter(dict(enumerate(tiles, start=1)))
    assert sorted(int(row["tile_index"]) for row in rows if row["frame"] == "3") == list(range(6))

    # A second time there is nothing left to fly.
    again = [executable("satllm"), "up", config, "--images", tmp_path / "images", "--run", flight.latest.resolve()]
    ended = subprocess.run(again, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0 and not ended.stdout
    assert "has ended: 11 tiles came down, 0 were dropped, none is left to fly" in ended.stderr
