"""A plan written by hand, as YAML that `ros2 topic pub` takes: hash and signature are filled in."""

from __future__ import annotations

import yaml

from satllm_ros.compression.wire.setting import Codec, CodecSetting, CodecSettingError
from satllm_ros.documents.section import DocumentError, Section
from satllm_ros.documents.yaml_file import parse_yaml
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import MAX_CYCLE_S, MAX_EPOCH, Plan, Stage

# What the message holds.
_MAX_BLOCK, _MAX_BITS = 2**32 - 1, 255
_MAX_MAKESPAN_S = 1e18


def plan_from_yaml(text: str) -> Plan:
    """Unsealed plan from the fields of message `Plan`; predictions and explanation may be left out.

    Raises
    ------
    DocumentError
        If it is no YAML mapping, or a field is missing, unknown or not of what a plan may say there.
    """
    top = Section("plan", parse_yaml(text, "the plan"))
    epoch = top.section("epoch")
    plan = Plan(
        epoch=Epoch(epoch.integer("incarnation", 1, MAX_EPOCH), epoch.integer("counter", 1, MAX_EPOCH)),
        planner_id=top.text("planner_id", "by hand"),
        model_id=top.text("model_id"),
        source=top.text("source", "sensing"),
        stages=tuple(map(_stage, top.sections("stages"))),
        downlink=top.text("downlink"),
        accuracy_floor=top.number("accuracy_floor", 0.0, 1.0, 0.0),
        predicted_makespan_s=top.number("predicted_makespan_s", 0.0, _MAX_MAKESPAN_S, 0.0),
        predicted_paper_s=top.number("predicted_paper_s", 0.0, _MAX_MAKESPAN_S, 0.0),
        predicted_cycle_s=top.number("predicted_cycle_s", 0.0, MAX_CYCLE_S, 0.0),
        explanation=top.text("explanation", ""),
    )
    # Filled in anew: what stands there may be of an earlier version.
    for name in ("header", "plan_hash", "signature"):
        top.value(name)
    epoch.refuse_unknown()
    top.refuse_unknown()
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


def _stage(section: Section) -> Stage:
    made = Stage(
        section.text("satellite"),
        section.integer("start", 0, _MAX_BLOCK),
        section.integer("stop", 0, _MAX_BLOCK),
        _setting(section),
    )
    section.refuse_unknown()
    return made


def _setting(section: Section) -> CodecSetting:
    """As `int8`, or in the parts of message `CodecSetting`."""
    named = not isinstance(section.value("setting"), dict)
    try:
        return CodecSetting.parse(section.text("setting", "raw")) if named else _in_parts(section.section("setting"))
    except CodecSettingError as error:
        raise DocumentError(f"{section.where}: setting: {error}") from None


def _in_parts(parts: Section) -> CodecSetting:
    # Without them, the codec's usual ones.
    bits = {"bits": parts.integer("bits", 0, _MAX_BITS)} if "bits" in parts.keys else {}
    codec = Codec(parts.integer("codec", 0, max(Codec)))
    made = CodecSetting(codec, parts.number("keep_ratio", 0.0, 1.0, 1.0), **bits)
    parts.refuse_unknown()
    return made
