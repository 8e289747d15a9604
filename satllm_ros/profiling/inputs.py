"""What a planner takes from the files of `satllm profile` and `satllm calibrate`."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from satllm_ros.planning.problem.checks import ProblemError
from satllm_ros.planning.problem.problem import Setting
from satllm_ros.profiling.files import ProfileError
from satllm_ros.replanning.offered import loss_by_cut, ratio_by_cut

FORMAT = "satllm-calibration"


def measured_settings(path: Path, *, model_id: str | None = None, blocks: int | None = None) -> list[Setting]:
    """Settings with the accuracy that calibration measured with all cuts alike, and ratio and loss of each cut alone.

    It measures no seconds: here, coding takes none.

    Parameters
    ----------
    model_id
        The model the calibration must be of.
    blocks
        L of the model. A cut that was not measured has the ratio of all cuts alike and the mean of the losses measured.
        Without `blocks`, settings have the ratio of all cuts alike, and no losses of single cuts.

    Raises
    ------
    OSError
        If the file cannot be read.
    ProfileError
        If it is no calibration, or of another model.
    """
    document = _calibration(path)
    if model_id is not None and document.get("model_id") != model_id:
        raise ProfileError(f"{path} is of model {document.get('model_id')!r}, needed is {model_id!r}")
    settings = []
    cuts = (blocks or 1) - 1
    try:
        for name, one in document["settings"].items():
            by_cut = one.get("by_cut", {}) if blocks else {}
            ratios = {cut: found["ratio"] for cut, found in by_cut.items()}
            losses = {cut: document["uncompressed"] - found["accuracy"] for cut, found in by_cut.items()}
            settings.append(
                Setting(
                    name,
                    ratio=ratio_by_cut(ratios, one["alike"]["ratio"], cuts),
                    accuracy=one["alike"]["accuracy"],
                    loss=loss_by_cut(losses, cuts),
                )
            )
    except (KeyError, TypeError, AttributeError, ProblemError) as error:
        raise ProfileError(f"{path} is damaged: {type(error).__name__} {error}") from None
    return settings


def calibration_time(path: Path) -> datetime:
    """When the calibration was made; raises like `measured_settings`."""
    try:
        then = datetime.fromisoformat(_calibration(path)["measured_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise ProfileError(f"{path} is damaged: {type(error).__name__} {error}") from None
    if then.tzinfo is None:
        raise ProfileError(f"{path} is damaged: measured_at has no time zone")
    return then


def age_sentence(what: str, age_s: float) -> str:
    """How old a measurement is, for a log: one figure, in the unit people use.

    One from the future is told too: a clock is wrong, here or there.
    """
    how = "old" if age_s > -60.0 else "ahead of this computer's clock"
    span_s = abs(age_s) if age_s <= -60.0 else max(0.0, age_s)
    for unit, seconds in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if span_s >= 2 * seconds:
            return f"{what} is {math.floor(span_s / seconds)} {unit} {how}"
    return f"{what} is {math.floor(span_s)} seconds {how}"


def _calibration(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ProfileError(f"{path} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict) or (document.get("format"), document.get("version")) != (FORMAT, 1):
        raise ProfileError(f"{path} holds no calibration of version 1")
    return document
