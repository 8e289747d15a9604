"""A plan written by hand, as YAML that `ros2 topic pub` takes: hash and signature are filled in."""

from __future__ import annotations

from typing import Any

import yaml

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan, PlanError, Stage


def plan_from_yaml(text: str) -> Plan:
    """Unsealed plan from the fields of message `Plan`; predictions and explanation may be left out.

    Raises
    ------
    PlanError
        If it is no YAML mapping, or a field is missing, unknown or of the wrong type.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PlanError(f"the plan is not YAML: {' '.join(str(error).split())}") from None
    top = _Fields("plan", document)
    epoch = _Fields("plan: epoch", top.take("epoch", dict))
    stages = tuple(_stage(f"plan: stages[{i}]", item) for i, item in enumerate(top.take("stages", list)))
    plan = Plan(
        epoch=Epoch(epoch.take("incarnation", int), epoch.take("counter", int)),
        planner_id=top.take("planner_id", str, "by hand"),
        model_id=top.take("model_id", str),
        source=top.take("source", str, "sensing"),
        stages=stages,
        downlink=top.take("downlink", str),
        accuracy_floor=float(top.take("accuracy_floor", (int, float), 0.0)),
        predicted_makespan_s=float(top.take("predicted_makespan_s", (int, float), 0.0)),
        predicted_paper_s=float(top.take("predicted_paper_s", (int, float), 0.0)),
        predicted_cycle_s=float(top.take("predicted_cycle_s", (int, float), 0.0)),
        explanation=top.take("explanation", str, ""),
    )
    # Filled in anew: what stands there may be of an earlier version.
    for name in ("header", "plan_hash", "signature"):
        top.take(name, object, None)
    top.refuse_unknown()
    epoch.refuse_unknown()
    return plan


def plan_to_yaml(plan: Plan) -> str:
    """The plan on one line, for `ros2 topic pub /plan_proposed satllm_ros/msg/Plan "..."`."""
    document = {
        "epoch": {"incarnation": plan.epoch.incarnation, "counter": plan.epoch.counter},
        "plan_hash": plan.plan_hash,
        "planner_id": plan.planner_id,
        "model_id": plan.model_id,
        "source": plan.source,
        "stages": [
            {
                "satellite": stage.satellite,
                "start": stage.start,
                "stop": stage.stop,
                "setting": {
                    "codec": int(stage.setting.codec),
                    "keep_ratio": stage.setting.keep_ratio,
                    "bits": stage.setting.bits,
                },
            }
            for stage in plan.stages
        ],
        "downlink": plan.downlink,
        "accuracy_floor": plan.accuracy_floor,
        "predicted_makespan_s": plan.predicted_makespan_s,
        "predicted_paper_s": plan.predicted_paper_s,
        "predicted_cycle_s": plan.predicted_cycle_s,
        "explanation": plan.explanation,
        "signature": list(plan.signature),
    }
    return yaml.safe_dump(document, default_flow_style=True, sort_keys=False, width=2**31).strip()


def _stage(where: str, value: Any) -> Stage:
    fields = _Fields(where, value)
    setting = fields.take("setting", (dict, str), "raw")
    if isinstance(setting, str):
        chosen = CodecSetting.parse(setting)
    else:
        parts = _Fields(f"{where}: setting", setting)
        chosen = CodecSetting(
            Codec(parts.take("codec", int)),
            float(parts.take("keep_ratio", (int, float), 1.0)),
            parts.take("bits", int, None),
        )
        parts.refuse_unknown()
    made = Stage(fields.take("satellite", str), fields.take("start", int), fields.take("stop", int), chosen)
    fields.refuse_unknown()
    return made


class _Fields:
    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise PlanError(f"{where} is {type(value).__name__}; a mapping is needed")
        self._where = where
        self._value = dict(value)
        self._known: list[str] = []

    def take(self, name: str, kind: Any, default: Any = ...) -> Any:
        self._known.append(name)
        if name not in self._value:
            if default is ...:
                raise PlanError(f"{self._where}: {name} is missing")
            return default
        value = self._value.pop(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not object):
            raise PlanError(f"{self._where}: {name} is {value!r}; another type is needed")
        return value

    def refuse_unknown(self) -> None:
        if self._value:
            raise PlanError(
                f"{self._where}: unknown field {next(iter(self._value))!r}; known are {', '.join(self._known)}"
            )
