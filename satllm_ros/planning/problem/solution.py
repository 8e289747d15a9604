"""What a solver returns: a plan with its prediction, or the reasons why there is none."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class StagePlan:
    """Satellite `satellite` runs blocks start+1 .. stop; with start = stop it only relays."""

    satellite: str
    start: int
    stop: int


@dataclass(frozen=True)
class Bottleneck:
    """The resource that sets the pace, and the seconds it needs for each batch."""

    resource: str
    seconds: float


@dataclass(frozen=True)
class Predicted:
    """Makespan of the plan by the exact law, and by the paper's Eq. 13a (which leaves out T_0) [s]."""

    exact_s: float
    paper_s: float


@dataclass(frozen=True)
class SatelliteLoad:
    """What a plan asks of a satellite.

    Attributes
    ----------
    compute_s
        comp_k of one batch, decoding and encoding included [s].
    busy_s
        The same for all batches of the run [s].
    slack
        Share of the pace at which this satellite waits: 1 - comp_k / bottleneck.
    memory_bytes, memory_budget_bytes
        What it holds (overhead included) and what it may hold [byte].
    """

    name: str
    compute_s: float
    busy_s: float
    slack: float
    memory_bytes: float
    memory_budget_bytes: float


@dataclass(frozen=True)
class Solution:
    """A feasible plan.

    Attributes
    ----------
    delay_s
        The objective's value [s].
    stages
        (K,) in flight order.
    settings, ratios
        (K-1,) name of the setting at each cut and its compression ratio there; "as it is" and 1 where a relay passes
        on the input or the output.
    accuracy_loss
        Sum over the cuts of what the setting loses there.
    link_s
        (K+1,) occupancy of each link by one batch [s].
    lower_bound_s
        What no plan can beat, even if layers could be divided at will; not a solver's remaining doubt [s].
    gap
        (delay_s - lower_bound_s) / delay_s, what the indivisible layers and the memory cost.
    proven_optimal
        No other plan has a smaller `delay_s` (by more than a rounding error).
    """

    objective: str
    delay_s: float
    stages: tuple[StagePlan, ...]
    settings: tuple[str, ...]
    ratios: tuple[float, ...]
    bottleneck: Bottleneck
    lower_bound_s: float
    gap: float
    proven_optimal: bool
    predicted: Predicted
    accuracy_loss: float
    satellites: tuple[SatelliteLoad, ...]
    link_s: tuple[float, ...]
    feasible: Literal[True] = True

    def to_json(self) -> dict[str, Any]:
        """The solution as JSON values."""
        return {"feasible": self.feasible, **asdict(self)}


@dataclass(frozen=True)
class Reason:
    """A constraint that cannot be met: which, where, one sentence, and the nearest change that would do."""

    constraint: Literal["layers", "accuracy", "memory"]
    where: str
    sentence: str
    relaxation: str


@dataclass(frozen=True)
class Infeasible:
    """There is no plan; every reason must be removed."""

    objective: str
    reasons: tuple[Reason, ...]
    feasible: Literal[False] = False

    def to_json(self) -> dict[str, Any]:
        """The reasons as JSON values."""
        return {"feasible": self.feasible, **asdict(self)}
