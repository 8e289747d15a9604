"""The simulated network: how it fails at random, and which pairs can talk at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

# As measured: a reader and a writer that are both up find each other after this long.
DISCOVERY_S = (0.4, 3.0)
# A link that was down for so long has to be found again.
LEASE_S = 10.0


@dataclass
class NetworkFaults:
    """What the network and the computers do at random; all probabilities are per message and receiver."""

    loss: float = 0.0
    # On top, of what links carry: batches, predictions and receipts.
    data_loss: float = 0.0
    duplication: float = 0.0
    corruption: float = 0.0
    # Messages are delayed by base + exponential(mean); independent draws reorder them.
    base_delay_s: float = 0.02
    mean_delay_s: float = 0.05
    block_s: float = 0.05
    load_s: float = 1.0
    write_s: float = 0.02

    def copies(self, draw: Random) -> int:
        """How often a message is delivered."""
        return 2 if draw.random() < self.duplication else 1

    def loses(self, draw: Random, *, on_link: bool) -> bool:
        """Whether a copy is lost on its way, `on_link` if links carry it."""
        # No draw where there is nothing to draw for: a seed keeps its history.
        return draw.random() < self.loss or (on_link and self.data_loss > 0.0 and draw.random() < self.data_loss)

    def delay_s(self, draw: Random, wait_s: float = 0.0) -> float:
        """How long a copy is on its way, after a wait."""
        return wait_s + self.base_delay_s + draw.expovariate(1.0) * self.mean_delay_s

    def work_s(self, draw: Random, kind: str, work: float) -> float:
        """How long a process takes for what it began: so many blocks of a batch, a load, or else a write."""
        mean_s = {"compute": work * self.block_s, "load": self.load_s}.get(kind, self.write_s)
        return mean_s * draw.uniform(0.5, 1.5)


class Links:
    """Which pairs can talk, since when they cannot, and when a message between them was last lost."""

    def __init__(self) -> None:
        # From whom to whom nothing comes through, and since when a pair cannot talk both ways.
        self._cut: set[tuple[str, str]] = set()
        self._broken_s: dict[frozenset[str], float] = {}
        # Pairs that have forgotten each other, and until when they look.
        self._looking_until_s: dict[frozenset[str], float] = {}
        self._lost_s: dict[frozenset[str], float] = {}

    def cut(self, sender: str, receiver: str, now_s: float) -> None:
        """Nothing comes through from one to the other any more."""
        self._cut.add((sender, receiver))
        self._broken_s.setdefault(frozenset((sender, receiver)), now_s)

    def mend(self, one: str, other: str, now_s: float) -> float | None:
        """Everything comes through in both directions; gives since when it did not, None if it did."""
        pair = frozenset((one, other))
        since_s = self._broken_s.pop(pair, None)
        if since_s is not None:
            self._cut -= {(one, other), (other, one)}
            self._lost_s[pair] = now_s
        return since_s

    def forget(self, one: str, other: str, until_s: float) -> None:
        """They have to find each other again, which takes until then."""
        pair = frozenset((one, other))
        self._looking_until_s[pair] = self._lost_s[pair] = until_s

    def lose(self, one: str, other: str, now_s: float) -> None:
        """A message between them is lost."""
        self._lost_s[frozenset((one, other))] = now_s

    def is_cut(self, sender: str, receiver: str, now_s: float) -> bool:
        if (sender, receiver) in self._cut:
            return True
        return now_s < self._looking_until_s.get(frozenset((sender, receiver)), 0.0)

    def broken_since_s(self, one: str, other: str) -> float | None:
        """Since when they cannot talk both ways; None if they can."""
        return self._broken_s.get(frozenset((one, other)))

    def broken_pairs(self) -> list[tuple[str, str]]:
        return [(one, other) for one, other in sorted(map(sorted, self._broken_s))]

    def last_lost_s(self, one: str, other: str) -> float:
        """When a message between them was last lost; 0 if none was."""
        return self._lost_s.get(frozenset((one, other)), 0.0)


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Every link between two of them."""
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
