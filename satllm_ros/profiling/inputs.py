"""What a planner takes from the files of `satllm profile` and `satllm calibrate`."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

from satllm_ros.documents.section import DocumentError, Section, shown
from satllm_ros.planning.problem.checks import ProblemError
from satllm_ros.planning.problem.problem import MAX_LAYERS, Setting
from satllm_ros.profiling.files import measured_at, open_measurements
from satllm_ros.replanning.offered import loss_by_cut, ratio_by_cut

FORMAT = "satllm-calibration"
VERSION = 1
# Of a frame to what it holds: a raw one is longer by a few bytes, which are much where it holds little.
_RATIOS = 1e-9, 1e3


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
    DocumentError
        If it is no calibration, or of another model.
    """
    top = _calibration(path)
    if model_id is not None and top.text("model_id") != model_id:
        raise DocumentError(f"{path} is of model {top.text('model_id')!r}, needed is {model_id!r}")
    settings = top.section("settings")
    return [_setting(top, settings.section(name), name, blocks) for name in settings.keys]


def calibration_time(path: Path) -> datetime:
    """When the calibration was made; raises like `measured_settings`."""
    return measured_at(_calibration(path))


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


def _calibration(path: Path) -> Section:
    top = open_measurements(path, FORMAT, VERSION)
    known = ("uncompressed", "artefact_id", "device", "images", "curve", "cascades", "additive_error")
    top.fields(("model_id", "measured_at", "settings"), known)
    return top


def _setting(top: Section, section: Section, name: str, blocks: int | None) -> Setting:
    accuracy, ratio = _measured(section.section("alike"))
    by_cut = _by_cut(section.section("by_cut", {}), blocks or MAX_LAYERS)
    section.refuse_unknown()
    ratios, losses = {}, {}
    if blocks and by_cut:
        uncompressed = top.number("uncompressed", 0.0, 1.0)
        ratios = {cut: found for cut, (_, found) in by_cut.items()}
        losses = {cut: uncompressed - found for cut, (found, _) in by_cut.items()}
    cuts = (blocks or 1) - 1
    try:
        return Setting(
            name,
            ratio=ratio_by_cut(ratios, ratio, cuts),
            accuracy=accuracy,
            loss=loss_by_cut(losses, cuts),
        )
    except ProblemError as error:
        raise DocumentError(f"{section.where}: {error}") from None


def _by_cut(section: Section, blocks: int) -> dict[int, tuple[float, float]]:
    if wrong := [cut for cut in section.keys if type(cut) is not int or not 1 <= cut < blocks]:
        raise DocumentError(f"{section.where} has cut {shown(wrong[0])}; a number from 1 to {blocks - 1} is needed")
    return {cut: _measured(section.section(cut)) for cut in section.keys}


def _measured(section: Section) -> tuple[float, float]:
    """Accuracy and ratio."""
    made = section.number("accuracy", 0.0, 1.0), section.number("ratio", *_RATIOS)
    section.refuse_unknown()
    return made
