"""The main job: a labelled bag through three emulated satellites, and the files that a run leaves."""

import csv
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from flight import Flight, constellation, started, up, write_constellation
from tiny_material import CLASSES, SIDE, Material, encoded, picture

from satllm_ros.data.rosbag.bag_writer import PERIOD_NS, START_NS
from satllm_ros.data.tiles import decode_jpeg
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.storage.batch_store import BatchStore
from satllm_ros.storage.prediction_store import PredictionStore
from satllm_ros.storage.run_identity import read_run

# The second satellite is three times as fast: the best split of four blocks is 1, 2, 1.
BLOCK_S = (0.03, 0.01, 0.03)
BLOCKS_OF = {"sat1": (0, 1), "sat2": (1, 3), "sat3": (3, 4)}
BATCH_TILES = 5


@pytest.fixture(scope="module")
def flown(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flight]:
    folder = tmp_path_factory.mktemp("bag_flight")
    config = write_constellation(folder, constellation(material, BLOCK_S, batch_tiles=BATCH_TILES))
    with started(up(config, "--reference", "all"), folder) as flight:
        assert flight.wait() == 0, flight.story()
        yield flight


@pytest.fixture(scope="module")
def summary(flown: Flight) -> dict[str, Any]:
    return json.loads((flown.latest / "summary.json").read_text())


@pytest.fixture(scope="module")
def rows(flown: Flight) -> list[dict[str, str]]:
    with (flown.latest / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def spec(material: Material) -> ModelSpec:
    return read_spec(material.checkpoint)


def test_every_tile_comes_down_exactly_once(summary: dict[str, Any], material: Material) -> None:
    tiles = material.bag_tiles
    assert summary["complete"] and summary["emulated"]
    assert summary["tiles"] == {"sent": tiles, "received": tiles, "duplicates": 0, "lost": 0, "dropped": {}}


def test_nothing_is_left_behind(flown: Flight) -> None:
    assert flown.left_behind() == ([], [])


def test_satellites_run_the_blocks_of_the_best_plan(summary: dict[str, Any], spec: ModelSpec) -> None:
    assert {s["name"]: (s["start"], s["stop"]) for s in summary["satellites"]} == BLOCKS_OF
    for satellite in summary["satellites"]:
        start, stop = BLOCKS_OF[satellite["name"]]
        assert satellite["memory_bytes"] == sum(spec.layer_bytes[start:stop])


def test_emulated_times_stand_beside_the_real_ones(summary: dict[str, Any]) -> None:
    for satellite, block_s in zip(summary["satellites"], BLOCK_S, strict=True):
        planned_s = (satellite["stop"] - satellite["start"]) * block_s * BATCH_TILES
        assert satellite["emulated"] and satellite["tiles"] == BATCH_TILES
        assert satellite["compute_s"] >= planned_s - 1e-6
        assert 0 < satellite["compute_real_s"]
        assert all(satellite[f"{step}_s"] >= 0 for step in ("wait", "decode", "encode", "publish"))
        assert 0 < satellite["utilisation_real"] <= satellite["utilisation"] <= 1


def test_hops_count_what_crossed(summary: dict[str, Any], spec: ModelSpec, material: Material) -> None:
    fp32_bytes = material.bag_tiles * spec.tokens * spec.width * 4
    assert [(h["from"], h["to"]) for h in summary["hops"]] == [("sat1", "sat2"), ("sat2", "sat3")]
    for hop in summary["hops"]:
        assert hop["fp32_bytes"] == fp32_bytes
        assert hop["settings"] == ["int8"]
        assert hop["ratio"] == pytest.approx(fp32_bytes / hop["wire_bytes"])
        assert hop["ratio"] >= 4
    traffic = summary["traffic_bytes"]
    assert traffic["isl"] == sum(hop["wire_bytes"] for hop in summary["hops"])
    assert traffic["s2g"] > material.bag_tiles * len(CLASSES) * 4
    assert traffic["upload"] > sum(len(encoded(picture(n))) for n in range(material.bag_tiles))


def test_times_are_measured_beside_predicted(summary: dict[str, Any]) -> None:
    makespan = summary["makespan_s"]
    assert all(makespan[name] > 0 for name in ("measured", "ideal", "predicted_exact", "predicted_paper"))
    assert summary["throughput"]["of_ideal"] == pytest.approx(makespan["ideal"] / makespan["measured"])
    assert summary["throughput"]["tiles_per_s"] == pytest.approx(summary["tiles"]["received"] / makespan["measured"])
    assert 0 < summary["delay_s"]["p50"] <= summary["delay_s"]["p95"] <= makespan["measured"]


def test_results_hold_a_row_per_tile(rows: list[dict[str, str]], material: Material) -> None:
    numbers = range(1, material.bag_tiles + 1)
    assert sorted((int(r["frame"]), r["tile_index"]) for r in rows) == [(number, "0") for number in numbers]
    for row in rows:
        number = int(row["frame"]) - 1
        assert row["truth"] == str(number % len(CLASSES))
        assert row["class_name"] == CLASSES[int(row["label"])]
        assert row["copies"] == "1"


def test_a_row_leads_to_its_message_its_pixels_and_what_made_it(
    rows: list[dict[str, str]], flown: Flight, spec: ModelSpec
) -> None:
    run = read_run(flown.latest)
    assert run is not None and run.facts.source is not None
    for row in rows:
        number = int(row["frame"])
        assert row["source_id"] == run.facts.source.source_id
        assert row["name"].endswith(f"#{number}")
        assert (row["frame_width"], row["frame_height"]) == (str(SIDE), str(SIDE))
        assert [row[name] for name in ("tile_row", "tile_column", "x", "y")] == ["0"] * 4
        assert (row["width"], row["height"]) == (str(SIDE), str(SIDE))
        stamp_ns = START_NS + (number - 1) * PERIOD_NS
        moment = datetime.fromtimestamp(stamp_ns // 10**9, tz=timezone.utc)
        assert row["stamp_utc"] == f"{moment:%Y-%m-%dT%H:%M:%S}.{stamp_ns % 10**9:09d}Z"
        assert row["arrival_utc"].endswith("Z") and row["arrival_utc"] > "2026"
        assert (row["model_id"], row["satellites"], row["format"]) == (spec.model_id, "sat1>sat2>sat3", "2")
        assert len(row["plan_hash"]) == 16 and row["plan_epoch"].count(".") == 1


def test_every_tile_is_accounted_for(summary: dict[str, Any], material: Material, flown: Flight) -> None:
    audit, tiles = summary["audit"], material.bag_tiles
    assert audit["adds_up"] and audit["basis"] == "journal" and audit["ended"]
    assert (audit["acquired"], audit["delivered"], audit["dropped"], audit["in_custody"]) == (tiles, tiles, {}, {})
    assert f"{tiles} acquired = {tiles} delivered + 0 dropped + 0 in custody" in flown.output


def test_all_times_begin_at_the_arrival_since_the_stamps_are_old(summary: dict[str, Any]) -> None:
    assert summary["acquisition"] == "arrival"
    assert "48 of 48 are more than 10 s before their arrival" in summary["acquisition_reason"]


def test_flown_and_unsplit_model_agree(
    rows: list[dict[str, str]], summary: dict[str, Any], material: Material, spec: ModelSpec
) -> None:
    unsplit = unsplit_labels(material, spec)
    by_frame = sorted(rows, key=lambda r: int(r["frame"]))
    assert [int(r["reference"]) for r in by_frame] == unsplit
    assert len(set(unsplit)) > 1, "a model that always says the same shows nothing"
    right = [int(r["label"]) == int(r["truth"]) for r in rows]
    assert summary["accuracy"]["flown"] == pytest.approx(np.mean(right))
    assert summary["accuracy"]["agreement"] >= 0.95
    assert abs(summary["accuracy"]["flown"] - summary["accuracy"]["reference"]) <= 0.05


def unsplit_labels(material: Material, spec: ModelSpec) -> list[int]:
    """Classes of the bag's pictures by the whole model in this process."""
    import torch

    from satllm_ros.model.checkpoints.checkpoint import load_model
    from satllm_ros.model.stage import normalize

    images = [decode_jpeg(np.frombuffer(encoded(picture(n)), np.uint8)) for n in range(material.bag_tiles)]
    assert images[0].shape == (SIDE, SIDE, 3)
    with torch.inference_mode():
        return load_model(material.checkpoint)(normalize(np.stack(images), spec)).argmax(dim=1).tolist()


def test_ground_keeps_the_predictions_and_the_last_satellite_knows_that(flown: Flight, material: Material) -> None:
    ground = PredictionStore(flown.latest / "predictions.sqlite")
    assert ground.count() == material.bag_tiles
    ground.close()
    batches = -(-material.bag_tiles // BATCH_TILES)
    for name, delivered in (("sat3", batches), ("sat1", 0)):
        store = BatchStore(flown.latest / f"{name}.predictions.sqlite")
        assert (sum(1 for _ in store.restore()), store.undelivered()) == (delivered, 0)
        store.close()


def test_run_leaves_its_files(flown: Flight) -> None:
    latest = flown.runs / "latest"
    assert latest.is_symlink() and latest.resolve().parent == flown.runs.resolve()
    assert (latest / "timeline.png").read_bytes().startswith(b"\x89PNG\r\n")
    # "ros" is the folder of ROS's own.
    logs = {"sat1", "sat2", "sat3", "link", "planner", "sensing", "comparison", "ros"}
    assert {log.stem for log in (latest / "logs").iterdir()} == logs


def test_terminal_shows_plan_progress_and_report(flown: Flight) -> None:
    for expected in (
        "plan: sat1 block 1",
        "COMPLETE: all 48 tiles came down exactly once",
        "summary.json",
        "timeline.png",
    ):
        assert expected in flown.output
    assert "Traceback" not in flown.errors + flown.logs
