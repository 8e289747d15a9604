"""Times of different hosts on one axis, where somebody compared their clocks; never subtracted where nobody did."""

from satllm_ros.report.record.record import RunRecord, StageRecord, TransferRecord

# Two crystals drift apart by less, a second; offsets are known of the end of a run only.
MAX_DRIFT = 1e-4

Timed = StageRecord | TransferRecord


class Clocks:
    """Brings clock readings of a run's records to one of their clocks, as far as that is known.

    Attributes
    ----------
    names
        The clocks of the records; one where the run was flown on one computer, or before records had clocks.
    uncertainty_s
        How far off a time of one host may be against another's, of those that can be compared [s].
    """

    def __init__(self, run: RunRecord) -> None:
        records: list[Timed] = [*run.stages, *run.transfers]
        self.names = list(dict.fromkeys(record.clock for record in records))
        known = {name: (offset_s, uncertainty_s) for name, (offset_s, uncertainty_s) in run.clock_offsets.items()}
        if run.clock:
            known[run.clock] = (0.0, 0.0)
        if len(self.names) == 1:
            # Whatever it is compared with does not matter.
            known = {self.names[0]: (0.0, 0.0)}
        used = [known[name] for name in self.names if name in known]
        self._offset_s = {name: offset_s for name, (offset_s, _) in known.items()}
        self.uncertainty_s = 0.0
        if len(used) > 1:
            self.uncertainty_s = sum(sorted(uncertainty_s for _, uncertainty_s in used)[-2:]) + MAX_DRIFT * _span_s(
                records
            )

    @property
    def strange(self) -> list[str]:
        """Clocks that nobody compared with the others."""
        return [name for name in self.names if name not in self._offset_s]

    def axis_of(self, record: Timed) -> str:
        """Axis on which a record's times lie: the common one is empty, a strange clock has its own."""
        return "" if record.clock in self._offset_s else record.clock

    def offset_s(self, record: Timed) -> float:
        """What its clock is ahead of its axis [s]."""
        return self._offset_s.get(record.clock, 0.0)


def have_one_wall_clock(one: str, other: str) -> bool:
    """Whether two clocks are of one computer, which has one wall clock in all of its time namespaces."""
    return bool(one) and one.partition("-")[0] == other.partition("-")[0]


def life_ranks(run: RunRecord) -> dict[int, int]:
    """Rank of each life of sensing by its boot id, in the order in which the recorder heard of them.

    With the sequence in a life, it orders batches without any clock.
    """
    lives = dict.fromkeys([*(stage.boot_id for stage in run.stages), *(transfer.boot_id for transfer in run.transfers)])
    return {boot_id: rank for rank, boot_id in enumerate(lives)}


def _span_s(records: list[Timed]) -> float:
    """Longest time between two records of one clock [s]."""
    starts: dict[str, list[float]] = {}
    for record in records:
        starts.setdefault(record.clock, []).append(
            record.compute_start_s if isinstance(record, StageRecord) else record.start_s
        )
    return max((max(times) - min(times) for times in starts.values()), default=0.0)
