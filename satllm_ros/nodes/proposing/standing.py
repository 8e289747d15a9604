"""What keeps a planner from planning, or its plan from being flown, in words."""

from __future__ import annotations

from satllm_ros.documents.section import shown
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.protocol.planner import PlannerProtocol
from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.vocabulary import Readiness
from satllm_ros.replanning.fleet_state import FleetState
from satllm_ros.replanning.flight_planner import FlightPlanner


class Standing:
    """Looks at one activation of a planner; /diagnostics go on saying what the log says once.

    Parameters
    ----------
    model_id
        Of the model that is planned for.
    start_s
        So long after `since_s` [s, steady clock] it is worth a word that there is no plan.

    Attributes
    ----------
    problem, waiting
        Sentences; empty if there is none.
    """

    def __init__(
        self,
        node: FlightNode,
        protocol: PlannerProtocol,
        flight: FlightPlanner,
        fleet: FleetState,
        model_id: str,
        *,
        since_s: float,
        start_s: float,
    ) -> None:
        self._node, self._protocol, self._flight, self._fleet = node, protocol, flight, fleet
        self._model_id = model_id
        self._foreign: dict[str, str] = {}
        self._late_s = since_s + start_s
        self.problem = self.waiting = self._refusal = ""

    @property
    def foreign(self) -> frozenset[str]:
        """Satellites that said last that they fly another model than is planned for."""
        return frozenset(self._foreign)

    def is_of_our_model(self, satellite: str, model_id: str) -> bool:
        """Whether a satellite may be planned with; of one that may not, /diagnostics say so until it does."""
        if model_id == self._model_id:
            self._foreign.pop(satellite, None)
            return True
        self._foreign[satellite] = f"{satellite} flies model {shown(model_id)}, ours is {self._model_id!r}"
        return False

    def note_report(self, report: Report) -> None:
        """A satellite may refuse what is proposed."""
        pending = self._protocol.pending
        if pending is None or report.about != (pending.epoch, pending.plan_hash):
            return
        refusal = f"{report.satellite} refuses plan {pending.epoch}: {report.reason}"
        if report.readiness is Readiness.REFUSED and refusal != self._refusal:
            self._refusal = refusal
            self._node.counters.add("refused_proposals")

    def forget_refusal(self) -> None:
        """What was refused is proposed no more."""
        self._refusal = ""

    def tell(self, now_s: float) -> None:
        """Log what keeps it from planning, once."""
        if self._protocol.pending is None:
            self._refusal = ""
        trouble = self.trouble()
        late = now_s > self._late_s and self._protocol.active is None
        waiting = f"waiting to plan: {missing}" if late and (missing := self.missing()) else self._of_others()
        if trouble:
            waiting = ""
        if (trouble, waiting) == (self.problem, self.waiting):
            return
        self.problem, self.waiting = trouble, waiting
        if trouble:
            self._node.get_logger().error(trouble)
        elif waiting:
            self._node.get_logger().warning(waiting)

    def trouble(self) -> str:
        """Why there is no plan for the satellites alive, or why it is not flown; empty if all is well."""
        if self._protocol.exhausted:
            return (
                "no plan: the last epoch was used, so none can follow; sign plans, and start sensing and planner anew"
            )
        return self._flight.why_not if self._protocol.infeasible else self._refusal

    def missing(self) -> str:
        """Who has not reported that it takes to plan; empty if all have."""
        if not self._fleet.has_stream:
            return "sensing has not reported yet"
        silent = [name for name in self._protocol.unheard if name not in self._foreign]
        told = f"no status yet from {', '.join(silent)}" if silent else ""
        return "; ".join(filter(None, (told, self._of_others())))

    def _of_others(self) -> str:
        """Who flies another model than is planned for; empty if nobody does."""
        who = "; ".join(self._foreign.values())
        return f"not planned with: {who}" if who else ""
