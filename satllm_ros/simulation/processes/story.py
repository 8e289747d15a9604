"""Messages in words, for the story of a run that failed."""

from __future__ import annotations

from typing import Any

from satllm_ros.protocol.signals import Ack, CustodyQuery, Report, SwitchState
from satllm_ros.simulation.processes.messages import Active, Batch, Predictions, Proposed, Receipt, RunSaid


def describe(message: Any) -> str:
    """One line about a message."""
    if isinstance(message, Batch):
        done = " -> ".join(f"{s.satellite} ({s.start}, {s.stop}] of {s.epoch}" for s in message.steps)
        broken = "" if message.intact else ", damaged"
        return f"{message.envelope.batch} under plan {message.envelope.epoch}{', done ' + done if done else ''}{broken}"
    if isinstance(message, Ack):
        why = f" ({message.cause.name.lower()})" if message.cause else ""
        return f"{message.batch} {message.verdict.name.lower()}{why} by {message.sender}"
    if isinstance(message, Report):
        about = f"{message.readiness.name.lower()} for {message.about[0]}"
        reason = f" ({message.reason})" if message.reason else ""
        serves = ", ".join(str(epoch) for epoch, _ in message.serves) or "nothing"
        return f"{message.satellite} is {about}{reason}, serves {serves}"
    if isinstance(message, Predictions):
        return f"predictions of {message.batch}"
    if isinstance(message, Receipt):
        return f"receipt of {message.batch} by {message.receiver}"
    if isinstance(message, CustodyQuery):
        return f"question about {', '.join(map(str, message.batches))}"
    if isinstance(message, Active):
        return f"active plan {message.plan.epoch}"
    if isinstance(message, Proposed):
        return f"proposed plan {message.plan.epoch} of {message.plan.planner_id}"
    if isinstance(message, SwitchState):
        drained = f"drained for {message.drained[0]}" if message.drained[1] else "not drained"
        return f"sensing {drained}, withdrawn up to {message.withdrawn}, low water {message.low_water}"
    if isinstance(message, RunSaid):
        return f"sensing flies run {message.run_id}"
    return repr(message)
