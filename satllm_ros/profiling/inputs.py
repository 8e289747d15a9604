"""What a planner takes from the files of `satllm profile` and `satllm calibrate`."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from satllm_ros.planning.checks import ProblemError
from satllm_ros.planning.problem import Setting
from satllm_ros.profiling.files import Profile, ProfileError

FORMAT = "satllm-calibration"


def measured_settings(path: Path, profile: Profile | None = None, *, model_id: str | None = None) -> list[Setting]:
    """Settings with the accuracy and the ratio that calibration measured with all cuts alike.

    Parameters
    ----------
    profile
        Has the seconds that coding takes on this device; settings it does not know cost none.
    model_id
        The model the calibration must be of.

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
    try:
        for name, one in document["settings"].items():
            cost = profile.codecs.get(name) if profile else None
            settings.append(
                Setting(
                    name,
                    ratio=min(1.0, one["alike"]["ratio"]),
                    accuracy=one["alike"]["accuracy"],
                    encode_s_per_byte=cost.encode_s_per_byte if cost else 0.0,
                    decode_s_per_byte=cost.decode_s_per_byte if cost else 0.0,
                )
            )
    except (KeyError, TypeError, AttributeError, ProblemError) as error:
        raise ProfileError(f"{path} is damaged: {type(error).__name__} {error}") from None
    return settings


def calibration_age_s(path: Path, now: datetime | None = None) -> float:
    """Seconds since the calibration was made; raises like `measured_settings`."""
    try:
        then = datetime.fromisoformat(_calibration(path)["measured_at"])
        age_s = ((now or datetime.now(timezone.utc)) - then).total_seconds()
    except (KeyError, TypeError, ValueError) as error:
        raise ProfileError(f"{path} is damaged: {type(error).__name__} {error}") from None
    return age_s


def age_sentence(what: str, age_s: float) -> str:
    """How old a measurement is, for a log: one figure, in the unit people use."""
    for unit, seconds in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if age_s >= 2 * seconds:
            return f"{what} is {math.floor(age_s / seconds)} {unit} old"
    return f"{what} is {max(0, math.floor(age_s))} seconds old"


def _calibration(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ProfileError(f"{path} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict) or (document.get("format"), document.get("version")) != (FORMAT, 1):
        raise ProfileError(f"{path} holds no calibration of version 1")
    return document
