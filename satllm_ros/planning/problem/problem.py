"""A planning problem as data: what is to be split, over which satellites and links, compressed how.

All costs are for one batch (N tiles); a run has B = `batches` of them. Every class checks itself when it is
made and raises `ProblemError`, so a `Problem` that exists is well formed (which is not the same as feasible).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem import checks
from satllm_ros.planning.problem.checks import ProblemError, refuse

MAX_LAYERS = 2048
MAX_SATELLITES = 256
MAX_BATCHES = 10**9
MAX_SETTINGS = 1024
# Settings that cost time cannot be told apart by their ratio alone: each of them multiplies the work.
MAX_COSTLY_SETTINGS = 64


def _set(owner: Any, **values: Any) -> None:
    for key, value in values.items():
        object.__setattr__(owner, key, value)


@dataclass(frozen=True)
class Model:
    """The model as L layers; the embedding counts in layer 1, the head in layer L.

    Attributes
    ----------
    layer_memory_bytes
        (L,) memory each layer takes where it runs [byte].
    cut_bytes
        (L+1,) uncompressed bytes of one batch at each cut; `cut_bytes[0]` is the input, `cut_bytes[L]` the
        output.
    layer_flops
        (L,) work of one batch [FLOP]; may be left out if every satellite states its `layer_s`.
    """

    layer_memory_bytes: Sequence[float]
    cut_bytes: Sequence[float]
    layer_flops: Sequence[float] | None = None

    def __post_init__(self) -> None:
        memory = checks.numbers(
            "layer_memory_bytes", self.layer_memory_bytes, low=1, high=MAX_LAYERS, what="one per layer"
        )
        layers = len(memory)
        cuts = checks.numbers("cut_bytes", self.cut_bytes, low=layers + 1, high=layers + 1, what="layers + 1")
        flops = self.layer_flops
        if flops is not None:
            flops = checks.numbers("layer_flops", flops, low=layers, high=layers, what="one per layer")
        _set(self, layer_memory_bytes=memory, cut_bytes=cuts, layer_flops=flops)

    @property
    def layers(self) -> int:
        """L."""
        return len(self.layer_memory_bytes)


@dataclass(frozen=True)
class Satellite:
    """One satellite of the chain; its speed is `flops_per_s`, or measured seconds per layer, `layer_s` (L,).

    A stage fits if the sum of its layers' bytes plus `memory_overhead_bytes` is at most `memory_bytes`. A
    satellite that `may_relay` may have no layer: it then passes on what it receives, byte for byte.
    """

    name: str
    memory_bytes: float
    flops_per_s: float | None = None
    layer_s: Sequence[float] | None = None
    memory_overhead_bytes: float = 0.0
    may_relay: bool = False

    def __post_init__(self) -> None:
        speed, seconds = self.flops_per_s, self.layer_s
        if (speed is None) == (seconds is None):
            found = "both are" if speed is not None else "neither is"
            raise ProblemError(f"flops_per_s or layer_s must be given, one of the two; {found}")
        if speed is not None:
            speed = checks.number("flops_per_s", speed, positive=True)
        if seconds is not None:
            seconds = checks.numbers("layer_s", seconds, low=1, high=MAX_LAYERS, what="one per layer")
        _set(
            self,
            name=checks.name("name", self.name),
            memory_bytes=checks.number("memory_bytes", self.memory_bytes),
            flops_per_s=speed,
            layer_s=seconds,
            memory_overhead_bytes=checks.number("memory_overhead_bytes", self.memory_overhead_bytes),
            may_relay=checks.boolean("may_relay", self.may_relay),
        )


@dataclass(frozen=True)
class Link:
    """A directed link. A message of n bytes occupies it for 8 n / rate_bps seconds.

    `propagation_s` is a constant added to the latency of each message but not to the occupancy of the link:
    the next message may start while the last one is still on its way. So it enters a makespan once per link.
    """

    rate_bps: float
    propagation_s: float = 0.0

    def __post_init__(self) -> None:
        rate = checks.number("rate_bps", self.rate_bps, positive=True)
        _set(self, rate_bps=rate, propagation_s=checks.number("propagation_s", self.propagation_s))


@dataclass(frozen=True)
class Setting:
    """One way to compress the activation at a cut.

    Attributes
    ----------
    ratio
        Wire bytes / fp32 bytes, in (0, 1]: one number for all cuts, or (L-1,) of the inner cuts 1..L-1.
    accuracy
        Accuracy with this setting at all cuts alike, a share of 1; what an accuracy floor is compared with.
    encode_s_per_byte, decode_s_per_byte
        Seconds per fp32 byte of the cut, part of the sender's and of the receiver's compute time.
    loss
        Accuracy lost at a cut, a share of 1, below 0 for a gain: one number for all cuts, or (L-1,); what a loss budget
        adds up. Without it, accuracy without compression less `accuracy`.
    """

    name: str
    ratio: float | Sequence[float]
    accuracy: float
    encode_s_per_byte: float = 0.0
    decode_s_per_byte: float = 0.0
    loss: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        _set(
            self,
            name=checks.name("name", self.name),
            ratio=checks.each_or_all("ratio", self.ratio, high=1.0, positive=True, most=MAX_LAYERS - 1),
            accuracy=checks.number("accuracy", self.accuracy, high=1.0),
            encode_s_per_byte=checks.number("encode_s_per_byte", self.encode_s_per_byte),
            decode_s_per_byte=checks.number("decode_s_per_byte", self.decode_s_per_byte),
            loss=None
            if self.loss is None
            else checks.each_or_all("loss", self.loss, low=-1.0, high=1.0, most=MAX_LAYERS - 1),
        )

    @property
    def costly(self) -> bool:
        """Whether coding takes time."""
        return self.encode_s_per_byte > 0 or self.decode_s_per_byte > 0

    @property
    def varies(self) -> bool:
        """Whether its ratio or its loss is stated cut by cut."""
        return isinstance(self.ratio, tuple) or isinstance(self.loss, tuple)

    def ratio_at(self, cut: int) -> float:
        """Wire bytes / fp32 bytes at an inner cut, 1..L-1."""
        return self.ratio[cut - 1] if isinstance(self.ratio, Sequence) else self.ratio


def ratios_at_cuts(settings: Sequence[Setting], cuts: int) -> NDArray[np.float64]:
    """(settings, cuts) wire bytes / fp32 bytes with each setting at each inner cut, of which there are so many."""
    return _at_cuts([s.ratio for s in settings], cuts)


def _at_cuts(values: Sequence[float | Sequence[float]], cuts: int) -> NDArray[np.float64]:
    rows = [(value,) * cuts if isinstance(value, float) else value for value in values]
    return np.array(rows, dtype=float).reshape(len(rows), cuts)


@dataclass(frozen=True)
class Compression:
    """The settings to choose from at each cut, and what accuracy they must leave.

    Attributes
    ----------
    accuracy_min
        The floor that each cut's setting must meet.
    loss_budget
        In place of the floor: what the losses of the settings at all cuts may add up to. If it is given,
        `accuracy_min` is not looked at.
    uncompressed_accuracy
        Accuracy without compression. Left out, it is that of the settings with ratio 1 and no cost, else the best
        of any setting.
    """

    settings: Sequence[Setting]
    accuracy_min: float | None = None
    loss_budget: float | None = None
    uncompressed_accuracy: float | None = None

    def __post_init__(self) -> None:
        settings = checks.items("settings", self.settings, low=1, high=MAX_SETTINGS, what="settings")
        for i, setting in enumerate(settings):
            if not isinstance(setting, Setting):
                raise refuse(f"settings[{i}]", setting, "a Setting")
        costly = sum(s.costly for s in settings)
        if costly > MAX_COSTLY_SETTINGS:
            raise ProblemError(f"settings has {costly} entries that cost time; at most {MAX_COSTLY_SETTINGS} may")
        if self.accuracy_min is None and self.loss_budget is None:
            raise ProblemError("accuracy_min or loss_budget must be given; neither is")
        free = [s.accuracy for s in settings if np.min(s.ratio, initial=1.0) == 1.0 and not s.costly]
        uncompressed = self.uncompressed_accuracy
        if uncompressed is None:
            uncompressed = max(free or [s.accuracy for s in settings])
        _set(
            self,
            settings=tuple(settings),
            accuracy_min=self._share("accuracy_min"),
            loss_budget=self._share("loss_budget", high=MAX_SATELLITES),
            uncompressed_accuracy=checks.number("uncompressed_accuracy", uncompressed, high=1.0),
        )

    def _share(self, name: str, high: float = 1.0) -> float | None:
        value = getattr(self, name)
        return None if value is None else checks.number(name, value, high=high)

    def losses(self, settings: Sequence[Setting], cuts: int) -> NDArray[np.float64]:
        """(settings, cuts) accuracy lost with each setting at each inner cut, of which there are so many."""
        best = self.uncompressed_accuracy or 0.0
        return _at_cuts([best - s.accuracy if s.loss is None else s.loss for s in settings], cuts)

    @staticmethod
    def from_ratios(
        ratios: Any, accuracy: Any, accuracy_min: float | None = None, loss_budget: float | None = None
    ) -> "Compression":
        """Free settings from compression ratios and an accuracy curve [(ratio, accuracy), ...].

        The curve is piecewise linear between its points. Above its last ratio it stays level; a ratio below
        its first point is refused, since nothing is known there. Accuracy without compression is the curve's at
        ratio 1.
        """
        ratios = checks.items("ratios", ratios, low=1, high=MAX_SETTINGS, what="compression ratios")
        points = checks.items("accuracy", accuracy, low=1, high=MAX_SETTINGS, what="[ratio, accuracy] pairs")
        curve = [checks.items(f"accuracy[{i}]", p, low=2, high=2, what="ratio, accuracy") for i, p in enumerate(points)]
        at = [checks.number(f"accuracy[{i}][0]", p[0], high=1.0) for i, p in enumerate(curve)]
        value = [checks.number(f"accuracy[{i}][1]", p[1], high=1.0) for i, p in enumerate(curve)]
        for i in range(1, len(at)):
            if at[i] <= at[i - 1]:
                raise refuse(f"accuracy[{i}][0]", at[i], f"a ratio above the one before it ({at[i - 1]:g})")
        settings = []
        for i, entry in enumerate(ratios):
            ratio = checks.number(f"ratios[{i}]", entry, high=1.0, positive=True)
            if ratio < at[0]:
                raise refuse(f"ratios[{i}]", entry, f"a ratio that the accuracy curve covers (from {at[0]:g} on)")
            settings.append(Setting(f"ratio {ratio:g}", ratio, min(1.0, float(np.interp(ratio, at, value)))))
        uncompressed = min(1.0, float(np.interp(1.0, at, value)))
        return Compression(settings, accuracy_min, loss_budget, uncompressed)


@dataclass(frozen=True)
class Problem:
    """The whole problem: B batches through K satellites in order, K+1 links.

    `links[0]` feeds the first satellite, `links[K]` goes to the ground; both carry uncompressed bytes.
    `links[k]` joins satellites k and k+1 (counted from 1) and carries what the chosen setting leaves.
    """

    batches: int
    model: Model
    satellites: Sequence[Satellite]
    links: Sequence[Link]
    compression: Compression

    def __post_init__(self) -> None:
        batches = checks.integer("batches", self.batches, low=1, high=MAX_BATCHES)
        satellites = tuple(checks.items("satellites", self.satellites, low=1, high=MAX_SATELLITES, what="satellites"))
        count = len(satellites) + 1
        links = tuple(checks.items("links", self.links, low=count, high=count, what="satellites + 1"))
        _set(self, batches=batches, satellites=satellites, links=links)
        names: set[str] = set()
        for i, satellite in enumerate(satellites):
            self._check_satellite(f"satellites[{i}]", satellite)
            if satellite.name in names:
                raise refuse(f"satellites[{i}]: name", satellite.name, "a name no other satellite has")
            names.add(satellite.name)

        for i, setting in enumerate(self.compression.settings):
            for field, value in (("ratio", setting.ratio), ("loss", setting.loss)):
                if isinstance(value, tuple):
                    where, count = f"compression: settings[{i}]: {field}", self.model.layers - 1
                    checks.items(where, value, low=count, high=count, what="layers - 1, one per inner cut")

    def _check_satellite(self, field: str, satellite: Satellite) -> None:
        layers = self.model.layers
        if satellite.layer_s is not None:
            checks.items(f"{field}: layer_s", satellite.layer_s, low=layers, high=layers, what="one per layer")
        elif self.model.layer_flops is None:
            raise ProblemError(f"model: layer_flops is missing, but {field} states its speed in flops_per_s")

    @property
    def most_cuts(self) -> int:
        """The largest number of inner cuts that a split can have."""
        return min(len(self.satellites), self.model.layers) - 1

    def losses(self) -> NDArray[np.float64]:
        """(settings, L-1) accuracy that each setting loses at each inner cut."""
        return self.compression.losses(self.compression.settings, self.model.layers - 1)

    def layer_seconds(self) -> NDArray[np.float64]:
        """(K, L) seconds each satellite needs for each layer of one batch."""
        rows = [
            s.layer_s if s.layer_s is not None else np.asarray(self.model.layer_flops) / s.flops_per_s
            for s in self.satellites
        ]
        return np.asarray(rows, dtype=float)
