"""The files of measurements that a planner is given, read together and checked against what it flies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.documents.section import DocumentError
from satllm_ros.model.first_blocks import MEASURED_BYTES, middle_blocks
from satllm_ros.model.spec import ModelSpec
from satllm_ros.planning.problem.problem import Setting
from satllm_ros.profiling.files import Profile, load_profile
from satllm_ros.profiling.inputs import age_sentence, calibration_time, measured_settings
from satllm_ros.replanning.measured import DeviceTimes
from satllm_ros.replanning.offered import offered_settings


@dataclass(frozen=True)
class PlannerInputs:
    """What the files say.

    Attributes
    ----------
    settings
        Settings to choose from. What coding costs is what the artefacts measured, and holds where no device in
        `devices` measured the setting.
    devices
        Times on the device of each satellite that has a profile.
    files
        Of each file: what to call it, a remark, and when it was measured.
    """

    settings: Sequence[Setting]
    devices: Mapping[str, DeviceTimes] = field(default_factory=dict)
    files: Sequence[tuple[str, str, datetime]] = ()

    def ages(self, now: datetime | None = None) -> dict[str, float]:
        """Age of each file [s]; below 0 if it is from the future."""
        now = now or datetime.now(timezone.utc)
        return {what: (now - then).total_seconds() for what, _, then in self.files}

    def sentences(self, now: datetime | None = None) -> list[str]:
        """One for each file: what it is and how old."""
        ages = self.ages(now)
        return [age_sentence(what, ages[what]) + remark for what, remark, _ in self.files]


def read_inputs(
    spec: ModelSpec,
    artefacts: Artefacts,
    codecs: Sequence[str],
    *,
    satellites: Sequence[str],
    profiles: Sequence[str] = (),
    calibration: str = "",
    batch_tiles: int = 1,
    threads: int = 1,
) -> PlannerInputs:
    """Read profiles and a calibration.

    Parameters
    ----------
    codecs
        Settings to offer: with accuracy, ratios and losses of the calibration, or of the artefacts without one.
    profiles
        Entries "satellite=file"; several satellites may name one file.
    calibration
        File of `satllm calibrate`; empty: none.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If one is damaged, of another model, or does not know a setting; or an entry of `profiles` is no such pair.
    """
    settings, files = offered_settings(artefacts, codecs, spec.blocks), []
    if calibration:
        settings = _calibrated(Path(calibration), settings, spec)
        files.append(("calibration", "", calibration_time(Path(calibration))))
    users: dict[str, list[str]] = {}
    for satellite, path in _pairs(profiles, satellites):
        users.setdefault(path, []).append(satellite)
    devices: dict[str, DeviceTimes] = {}
    first_blocks = middle_blocks(spec.layer_bytes, -(-spec.blocks // len(satellites)), MEASURED_BYTES)
    for path, names in users.items():
        profile = load_profile(Path(path), model_id=spec.model_id)
        if len(profile.blocks[0].layer_s) != spec.blocks:
            raise DocumentError(f"{path} is of {len(profile.blocks[0].layer_s)} layers; the model has {spec.blocks}")
        devices |= dict.fromkeys(names, _times(profile, batch_tiles, threads, first_blocks))
        remark = f"; measured on {profile.device}, and whether {_are(names)} cannot be seen from here"
        files.append((f"profile of {', '.join(names)}", remark, datetime.fromisoformat(profile.measured_at)))
    return PlannerInputs(settings, devices, files)


def _pairs(profiles: Sequence[str], satellites: Sequence[str]) -> list[tuple[str, str]]:
    pairs: dict[str, str] = {}
    for entry in profiles:
        name, _, path = entry.partition("=")
        if not path or name not in satellites or name in pairs:
            raise ValueError(
                f"profile {entry!r} is not one file for one satellite; allowed is NAME=FILE, once for each of "
                f"{', '.join(satellites)}"
            )
        pairs[name] = path
    return list(pairs.items())


def _calibrated(path: Path, offered: Sequence[Setting], spec: ModelSpec) -> list[Setting]:
    """The settings offered as a calibration measured them, which knows nothing of times."""
    known = {setting.name: setting for setting in measured_settings(path, model_id=spec.model_id, blocks=spec.blocks)}
    settings = []
    for setting in offered:
        if setting.name not in known:
            measured = ", ".join(known) or "none"
            raise DocumentError(f"{path} holds no measurement of setting {setting.name!r}; measured: {measured}")
        found = known[setting.name]
        settings.append(replace(setting, accuracy=found.accuracy, ratio=found.ratio, loss=found.loss))
    return settings


def _times(profile: Profile, batch_tiles: int, threads: int, first_blocks: tuple[int, int]) -> DeviceTimes:
    return DeviceTimes(
        tuple(s / batch_tiles for s in profile.layer_s(batch_tiles, threads)),
        {name: (cost.encode_s_per_byte, cost.decode_s_per_byte) for name, cost in profile.codecs.items()},
        first_blocks,
    )


def _are(names: Sequence[str]) -> str:
    return f"{names[0]} is one" if len(names) == 1 else "they are such"
