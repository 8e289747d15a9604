"""Prepares a flight on hosts of their own, has it flown inside namespaces, and judges it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from chaos.workshop import Cargo, Workshop
from flight import constellation, executable, write_constellation
from hosts.fleet import Order
from hosts.flown import Flown
from hosts.fly import write_orders
from hosts.namespaces import OUTER
from hosts.result import Result, judge
from hosts.scenario import PATCH, SIDE, Plan, Scenario

from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.report.record.store import load_run
from satllm_ros.report.write import RECORD

_HERE = Path(__file__).resolve().parent
# Beyond the patience that a plan has with each of its steps: hosts are made, and processes end.
_SPARE_S = 600.0


class Hangar:
    """Flies scenarios, each in a folder of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workshop = Workshop(folder / "workshop", SIDE, PATCH)

    def fly(self, scenario: Scenario, *, is_short: bool = False) -> Result:
        """Fly a scenario; short ones are not held against goals in seconds and bytes.

        Raises
        ------
        AssertionError
            If it could not be flown to its end.
        """
        plan = scenario.short if is_short else scenario.long
        assert plan is not None
        folder = self._folder / "".join(letter if letter.isalnum() else "_" for letter in scenario.name)
        cargo = self._workshop.cargo(plan.tiles)
        orders = [self._order(plan, cargo, folder, number) for number in range(plan.constellations)]
        asked, answer = folder / "orders.json", folder / "flown.json"
        write_orders(asked, scenario.name, is_short, orders)
        words = [*OUTER, sys.executable, "-m", "hosts.fly", str(asked), str(answer)]
        path = [str(_HERE.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
        patience_s = plan.patience_s * (2 + 2 * len(plan.faults)) + _SPARE_S
        log = folder / "fly.txt"
        with log.open("w") as file:
            code = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, timeout=patience_s
            ).returncode
        assert code == 0 and answer.exists(), f"not flown: exit code {code}\n{log.read_text()[-4000:]}"
        if plan.codec != "raw":
            # Classes are those of the compressed chain; under several plans, which are a complaint, of the last one.
            flown = load_run(Path(orders[0].folder) / "ground" / RECORD).plans[-1]
            cuts = {stop: CodecSetting.parse(setting) for _, _, stop, setting in flown.stages[:-1]}
            cargo = self._workshop.coded(cargo, plan.batch_tiles, cuts)
        return judge(scenario.name, plan, orders, cargo, Flown.read(answer), is_timed=not is_short)

    def _order(self, plan: Plan, cargo: Cargo, folder: Path, number: int) -> Order:
        namespace = chr(ord("a") + number) if plan.constellations > 1 else ""
        own = folder / (namespace or "flight")
        own.mkdir(parents=True)
        config = write_constellation(own, self._constellation(plan, cargo))
        names = tuple(f"sat{n}" for n in range(1, plan.satellites + 1))
        return Order(executable("satllm"), str(config), str(own), names, namespace)

    def _constellation(self, plan: Plan, cargo: Cargo) -> dict[str, Any]:
        spec = self._workshop.spec
        link = {
            "rate_bps": plan.rate_bps or plan.line.up_bps,
            # A hop passes two lines.
            "propagation_s": 2 * plan.line.delay_s,
        }
        content = constellation(
            cargo.material,
            [plan.compute_s / spec.blocks / plan.batch_tiles] * plan.satellites,
            batch_tiles=plan.batch_tiles,
            memory_bytes=int(plan.memory.value * sum(spec.layer_bytes)),
            upload_encoding="rgb8",
            window_batches=plan.window,
            codecs=[plan.codec],
            links=dict.fromkeys(("upload", "isl", "s2g"), link),
        )
        return content | {"emulate": {"compute": True, "links": False}}
