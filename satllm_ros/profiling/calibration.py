"""Accuracy of every codec setting: at one cut, at all cuts alike, and in cascades of a few cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.calibration.cut_model import CutModel
from satllm_ros.compression.calibration.measure import measure
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.measurement import Measurement
from satllm_ros.compression.wire.setting import CodecSetting

Batches = Callable[[], Iterator[tuple[NDArray[Any], NDArray[Any]]]]


class Trials:
    """A model cut after every block, and the images to judge it by.

    Parameters
    ----------
    batches
        Gives pairs of the model's input and the true classes, anew at each call.
    """

    def __init__(self, model: CutModel, batches: Batches, artefacts: Artefacts) -> None:
        self._model, self._batches, self._artefacts = model, batches, artefacts

    @property
    def cuts(self) -> range:
        """1 .. L-1."""
        return self._model.cuts

    def fly(self, settings: Mapping[int, CodecSetting]) -> Measurement:
        """As `measure`."""
        return measure(self._model, self._batches(), settings, self._artefacts)


def sweep(
    trials: Trials,
    settings: Sequence[CodecSetting],
    cascades: Sequence[Mapping[int, CodecSetting]],
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Everything the calibration file says of accuracy.

    Returns
    -------
    dict
        `uncompressed`; `settings`: by name, `alike` (all cuts) and `by_cut`; `curve`: the monotone fit of Eq. 12
        through (ratio, accuracy) of all cuts alike; `cascades`: each with the accuracy flown and what adding the
        losses of its cuts predicts; `additive_error`: mean and largest of the difference.
    """
    uncompressed = trials.fly({}).accuracy
    tick()
    found: dict[str, Any] = {}
    for setting in settings:
        alike = trials.fly(dict.fromkeys(trials.cuts, setting))
        tick()
        by_cut = {}
        for cut in trials.cuts:
            flown = trials.fly({cut: setting})
            by_cut[cut] = {"accuracy": flown.accuracy, "ratio": flown.ratio}
            tick()
        found[str(setting)] = {"alike": {"accuracy": alike.accuracy, "ratio": alike.ratio}, "by_cut": by_cut}
    flown_cascades = []
    for cascade in cascades:
        flown = trials.fly(cascade)
        losses = [uncompressed - found[str(s)]["by_cut"][cut]["accuracy"] for cut, s in cascade.items()]
        flown_cascades.append(
            {
                "settings": {cut: str(s) for cut, s in cascade.items()},
                "accuracy": flown.accuracy,
                "added": uncompressed - sum(losses),
            }
        )
        tick()
    errors = [abs(c["accuracy"] - c["added"]) for c in flown_cascades]
    return {
        "uncompressed": uncompressed,
        "settings": found,
        "curve": _curve(found, uncompressed),
        "cascades": flown_cascades,
        "additive_error": {"mean": float(np.mean(errors)), "worst": max(errors)} if errors else None,
    }


def _curve(found: Mapping[str, Any], uncompressed: float) -> list[list[float]]:
    from satllm_ros.profiling.isotonic import rising_fit

    points = [(min(1.0, one["alike"]["ratio"]), one["alike"]["accuracy"]) for one in found.values()]
    ratios, accuracies = zip(*points, (1.0, uncompressed), strict=True)
    curve: list[list[float]] = rising_fit(ratios, accuracies).tolist()
    return curve


def random_cascades(
    cuts: Sequence[int], settings: Sequence[CodecSetting], number: int, seed: int
) -> list[dict[int, CodecSetting]]:
    """Two to four cuts each, or as many as there are, with a random setting each."""
    rng = np.random.default_rng(seed)
    lossy = [s for s in settings if str(s) != "raw"] or list(settings)
    cascades = []
    for _ in range(number if len(cuts) > 1 and lossy else 0):
        several = rng.choice(cuts, min(len(cuts), int(rng.integers(2, 5))), replace=False)
        cascades.append({int(cut): lossy[rng.integers(len(lossy))] for cut in sorted(several)})
    return cascades
