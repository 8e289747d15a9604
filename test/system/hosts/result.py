"""What became of a flight on hosts of their own: a row of the table, from what was seen and from the ground's files."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.judge import Rows, count_rows, rows_complaints
from chaos.workshop import Cargo
from hosts.fleet import STORE, TERMINAL, Order
from hosts.flown import Flown
from hosts.scenario import UPLOAD_TILE_BYTES, Outage, Plan

# Makespan against its prediction, data on the wire against payload, and recovery: what issue 14 asks for.
MAKESPAN_TOLERANCE = 0.05
WIRE_RATIO, WIRE_RATIO_LOSSY = 1.10, 1.20
# Seconds that the middleware remembers who is there.
LEASE_S = 20.0
RECOVERY_S, RECOVERY_AFTER_LEASE_S = 5.0, 10.0
# A satellite that is cut off is planned around: dead after 4.75 s, then blocks are loaded and pass the chain.
SILENCE_S = 10.0


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Attributes
    ----------
    tiles, lost, twice, wrong
        Tiles that had to come down; those without a row on the ground; further rows of a tile; other labels than the
        cargo's.
    predicted_s, measured_s
        Makespan, as the plan said and as it was; None if it is not known.
    wire_ratio
        Bytes of frames that carried messages of data topics, by the payload; None where the payload is not known.
    control_kbps
        All other frames of the middleware [kbit/s], mean over hosts.
    dropped_packets
        Packets that queues of lines had no room for.
    silence_s, recovery_s
        Longest time without a new tile from the fault on; from the end of the fault to the next one.
    complaints
        What must not have happened; empty if the flight passed.
    """

    scenario: str
    tiles: int = 0
    lost: int | None = None
    twice: int | None = None
    wrong: int | None = None
    predicted_s: float | None = None
    measured_s: float | None = None
    wire_ratio: float | None = None
    control_kbps: float | None = None
    dropped_packets: int | None = None
    silence_s: float | None = None
    recovery_s: float | None = None
    complaints: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.complaints


def judge(scenario: str, plan: Plan, orders: list[Order], cargo: Cargo, flown: Flown, *, is_timed: bool) -> Result:
    """Hold a flight against its plan; against the goals in seconds and bytes only if it `is_timed`."""
    complaints: list[str] = []
    rows: list[Rows] = []
    for order, code in zip(orders, flown.exit_codes, strict=True):
        ground, sensing = Path(order.folder) / "ground", Path(order.folder) / "sensing"
        if (ground / STORE).exists():
            rows.append(count_rows(ground / STORE, cargo.labels, sensing))
            complaints += rows_complaints(rows[-1], exact=True, losses_told=0)
        else:
            complaints.append("nothing came down")
        complaints += _exit_complaints(code, Path(order.folder))
    predicted_s, measured_s = _makespan(Path(orders[0].folder) / "ground" / "summary.json")
    data_bytes = sum(flown.data_bytes.values())
    payload_bytes = _payload_bytes(plan, Path(orders[0].folder) / "ground" / "summary.json")
    result = Result(
        scenario=scenario,
        tiles=len(cargo.labels) * len(orders),
        lost=sum(counted.lost for counted in rows) if rows else None,
        twice=sum(counted.twice for counted in rows) if rows else None,
        wrong=sum(counted.wrong for counted in rows) if rows else None,
        predicted_s=predicted_s,
        measured_s=measured_s,
        wire_ratio=data_bytes / payload_bytes if plan.is_steady and payload_bytes else None,
        control_kbps=sum(flown.control_bytes.values()) * 8e-3 / flown.control_s / len(flown.control_bytes),
        dropped_packets=flown.dropped_packets,
        silence_s=flown.silence_s,
        recovery_s=_slowest(flown.recoveries_s),
    )
    if None in flown.recoveries_s:
        complaints.append("nothing came down after the fault")
    complaints += replan_complaints(plan, result)
    if is_timed:
        complaints += goal_complaints(plan, flown, result)
    return replace(result, complaints=tuple(complaints))


def _slowest(recoveries_s: list[float | None]) -> float | None:
    known = [seconds for seconds in recoveries_s if seconds is not None]
    return max(known, default=None)


def _exit_complaints(code: int | None, folder: Path) -> list[str]:
    found = []
    if code is None:
        found.append("the ground did not end by itself")
    elif code:
        found.append(f"exit code {code} of the ground: {_last_line(folder / 'ground')}")
    for terminal in sorted(folder.glob(f"*/{TERMINAL}")):
        if "Traceback" in terminal.read_text(errors="replace"):
            found.append(f"an exception on the terminal of {terminal.parent.name}: {_last_line(terminal.parent)}")
    return found


def _last_line(host: Path) -> str:
    lines = (host / TERMINAL).read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _makespan(summary: Path) -> tuple[float | None, float | None]:
    if not summary.exists():
        return None, None
    makespan_s = json.loads(summary.read_text())["makespan_s"]
    return makespan_s["predicted_exact"], makespan_s["measured"]


def _payload_bytes(plan: Plan, summary: Path) -> float | None:
    """What had to be sent: known beforehand of what is not compressed, else as the ground has counted it."""
    if plan.codec == "raw":
        return plan.payload_bytes
    if not summary.exists():
        return None
    traffic = json.loads(summary.read_text())["traffic_bytes"]
    if None in (traffic["isl"], traffic["s2g"]):
        return None
    return plan.tiles * UPLOAD_TILE_BYTES + traffic["isl"] + traffic["s2g"]


def replan_complaints(plan: Plan, result: Result) -> list[str]:
    """Whether nobody was taken for dead: a prediction is of a flight under one plan from beginning to end."""
    if plan.is_steady and (result.predicted_s is None or result.measured_s is None):
        return ["no prediction to compare with: more than one plan was flown"]
    return []


def goal_complaints(plan: Plan, flown: Flown, result: Result) -> list[str]:
    """Goals in seconds and bytes that were missed."""
    found = []
    if flown.missed_frames:
        found.append(f"{flown.missed_frames} frames were not counted")
    if plan.is_steady:
        if result.predicted_s is not None and result.measured_s is not None:
            ratio = result.measured_s / result.predicted_s
            if abs(ratio - 1) > MAKESPAN_TOLERANCE:
                found.append(f"makespan {ratio:.2f} of the prediction")
        most = WIRE_RATIO_LOSSY if plan.line.loss else WIRE_RATIO
        if result.wire_ratio is not None and result.wire_ratio < 1.0:
            found.append(f"{result.wire_ratio:.2f} of the payload on the wire: frames were not told apart")
        # Compressed batches are of a few datagrams, of which headers are a good part: printed, not judged.
        if plan.codec == "raw" and result.wire_ratio is not None and result.wire_ratio > most:
            found.append(f"{result.wire_ratio:.2f} of the payload on the wire, {most:.2f} allowed")
    around = [fault for fault in plan.faults if isinstance(fault, Outage) and fault.host.startswith("sat")]
    if around and result.silence_s is not None and result.silence_s > SILENCE_S:
        found.append(f"nothing came down for {result.silence_s:.1f} s, {SILENCE_S:g} allowed")
    for fault, seconds in zip(plan.faults, flown.recoveries_s, strict=True):
        most = RECOVERY_S if fault.seconds < LEASE_S else RECOVERY_AFTER_LEASE_S
        # A host that returns starts its processes first, however long that takes.
        if isinstance(fault, Outage) and seconds is not None and seconds > most:
            found.append(f"recovery in {seconds:.1f} s, {most:g} allowed")
    return found
