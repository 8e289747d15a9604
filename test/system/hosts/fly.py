"""Flies one plan inside the outer namespaces: `python -m hosts.fly ORDERS.json FLOWN.json`, see `hosts.hangar`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from hosts.directory import directory
from hosts.fleet import Fleet, Order
from hosts.flown import Flown
from hosts.frames import Kind
from hosts.meter import Meter
from hosts.scenario import Outage, Plan, Return
from hosts.topology import Network

_LOOK_S = 0.05
# Importing torch on a busy computer, in every process at once.
_START_PATIENCE_S = 240.0


class Watch:
    """Looks at the ground's store a few times a second, and notes when tiles came."""

    def __init__(self, fleets: Sequence[Fleet], batch_tiles: int) -> None:
        self._fleets, self._batch_tiles = fleets, batch_tiles
        self.came_s: list[float] = []
        self._tiles = 0

    @property
    def batches(self) -> int:
        return self._tiles // self._batch_tiles

    def until(self, condition: Callable[[], bool], patience_s: float) -> bool:
        """Look until the condition holds, every ground has ended, or patience is at an end; whether it held."""
        deadline_s = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > deadline_s or all(fleet.exit_code("ground") is not None for fleet in self._fleets):
                return False
            self._look()
            time.sleep(_LOOK_S)
        return True

    def hold(self, seconds: float) -> None:
        """Look for so long."""
        until_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= until_s, 2 * seconds)

    def _look(self) -> None:
        tiles = self._fleets[0].tiles_down()
        if tiles > self._tiles:
            self._tiles = tiles
            self.came_s.append(time.monotonic())

    def next_after(self, at_s: float) -> float | None:
        """From then to the next tile [s]."""
        return next((came_s - at_s for came_s in self.came_s if came_s > at_s), None)

    def silence_s(self, from_s: float) -> float | None:
        """The longest time without a tile, from then on."""
        times = [from_s, *(came_s for came_s in self.came_s if came_s > from_s)]
        return max((b - a for a, b in zip(times, times[1:], strict=False)), default=None)


def fly(plan: Plan, orders: Sequence[Order]) -> Flown:
    """Fly the plan on a new network; with what is left of it ended, whatever happens."""
    network = Network()
    fleets: list[Fleet] = []
    try:
        for order in orders:
            for process in order.processes:
                network.add(order.host(process), plan.lines.get(process, plan.line))
        found_by = directory(plan.discovery, network)
        meter = Meter({line.port: name for name, line in network.lines.items()})
        began_s = time.monotonic()
        try:
            for order in orders:
                fleets.append(Fleet(order, network.hosts, found_by))
                fleets[-1].start_all()
            return _observe(plan, orders[0], network, fleets, meter, began_s)
        finally:
            meter.close()
    finally:
        for fleet in fleets:
            fleet.end()
        network.close()


def _observe(
    plan: Plan, order: Order, network: Network, fleets: Sequence[Fleet], meter: Meter, began_s: float
) -> Flown:
    watch = Watch(fleets, plan.batch_tiles)
    goes_on = watch.until(lambda: watch.batches > 0, _START_PATIENCE_S + plan.patience_s)
    fault_s: float | None = None
    ends_s: list[float] = []
    for fault in plan.faults:
        wanted = watch.batches + fault.after_batches
        if not (goes_on and watch.until(lambda wanted=wanted: watch.batches >= wanted, plan.patience_s)):
            break
        at_s = time.monotonic()
        fault_s = fault_s or at_s
        _make(fault, order, network, fleets[0], watch)
        ends_s.append(time.monotonic())
        goes_on = watch.until(lambda: watch.next_after(ends_s[-1]) is not None, plan.patience_s)
    if goes_on:
        watch.until(lambda: all(fleet.exit_code("ground") is not None for fleet in fleets), plan.patience_s)
    recoveries_s = [watch.next_after(at_s) for at_s in ends_s]
    control_s = time.monotonic() - began_s
    sent = {kind: {name: meter.sent_bytes(name, kind) for name in network.hosts} for kind in (Kind.DATA, Kind.CONTROL)}
    return Flown(
        exit_codes=[fleet.exit_code("ground") for fleet in fleets],
        seconds=watch.came_s[-1] - watch.came_s[0] if watch.came_s else 0.0,
        data_bytes=sent[Kind.DATA],
        control_bytes=sent[Kind.CONTROL],
        control_s=control_s,
        missed_frames=meter.missed(),
        dropped_packets=sum(line.dropped_packets() for line in network.lines.values()),
        silence_s=watch.silence_s(fault_s) if fault_s is not None else None,
        # A fault that could not be made any more has none.
        recoveries_s=recoveries_s + [None] * (len(plan.faults) - len(recoveries_s)),
    )


def _make(fault: Outage | Return, order: Order, network: Network, fleet: Fleet, watch: Watch) -> None:
    """From the beginning of a fault to its end."""
    line = network.lines[order.host(fault.host)]
    if isinstance(fault, Outage):
        line.end(fault.how)
        watch.hold(fault.seconds)
        line.restore()
        return
    fleet.kill(fault.host)
    watch.hold(fault.seconds)
    line.move(network.next_address())
    fleet.start(fault.host)


def main() -> int:
    from hosts.catalogue import SCENARIOS

    asked, answer = Path(sys.argv[1]), Path(sys.argv[2])
    document = json.loads(asked.read_text())
    (scenario,) = [scenario for scenario in SCENARIOS if scenario.name == document["scenario"]]
    plan = scenario.short if document["is_short"] else scenario.long
    assert plan is not None
    orders = [Order(**order | {"satellites": tuple(order["satellites"])}) for order in document["orders"]]
    fly(plan, orders).write(answer)
    return 0


def write_orders(path: Path, scenario: str, is_short: bool, orders: Sequence[Order]) -> None:
    """What `main` reads."""
    document = {"scenario": scenario, "is_short": is_short, "orders": [asdict(order) for order in orders]}
    path.write_text(json.dumps(document))


if __name__ == "__main__":
    sys.exit(main())
