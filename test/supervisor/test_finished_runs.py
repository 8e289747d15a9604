"""Runs that have ended, and runs that can be gone on with."""

import json
from pathlib import Path
from typing import Any

import pytest

from satllm_ros.supervisor.run_directory import finished_run

ENDED: dict[str, Any] = {
    "complete": False,
    "audit": {
        "adds_up": True,
        "ended": True,
        "acquired": 71,
        "delivered": 70,
        "dropped": {"unreadable_image": 1},
        "in_custody": {},
    },
}


def folder(tmp_path: Path, **audit: Any) -> Path:
    (tmp_path / "summary.json").write_text(json.dumps(ENDED | {"audit": ENDED["audit"] | audit}))
    return tmp_path


def test_a_run_whose_tiles_are_down_or_dropped_has_ended(tmp_path: Path) -> None:
    sentence, was_complete = finished_run(folder(tmp_path), "folder")
    assert "has ended: 70 tiles came down, 1 were dropped" in sentence and str(tmp_path) in sentence
    assert not was_complete
    (tmp_path / "summary.json").write_text(json.dumps(ENDED | {"complete": True}))
    assert finished_run(tmp_path, "bag")[1]


@pytest.mark.parametrize(
    "audit",
    [
        {"ended": False},
        {"adds_up": False},
        {"acquired": 0},
        {"in_custody": {"stored": 3}},
        # Another attempt may bring these down.
        {"dropped": {"attempts_exhausted": 2}},
    ],
)
def test_a_run_with_something_left_to_fly_has_not(tmp_path: Path, audit: dict[str, Any]) -> None:
    assert finished_run(folder(tmp_path, **audit), "folder") is None


def test_a_camera_s_run_can_always_be_gone_on_with(tmp_path: Path) -> None:
    assert finished_run(folder(tmp_path), "topic") is None


@pytest.mark.parametrize("content", [None, "", "{", "[]", "7", '{"audit": null}', '{"audit": {"ended": true}}'])
def test_a_folder_without_a_good_summary_is_not_believed_to_have_ended(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    assert finished_run(tmp_path, "folder") is None
