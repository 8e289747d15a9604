"""What a good plan is, and whether a better one is worth moving for: the judgment behind `PlannerProtocol`.

Pure: it is told what is heard, with the time, and answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.planning.explain import explain
from satllm_ros.planning.patience import too_long
from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.solution import Infeasible, Solution
from satllm_ros.protocol.identity import NO_EPOCH, Epoch
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.replanning.decision import DOUBT_S, Assignment, evaluate, held_bytes, is_noise, unfit_for
from satllm_ros.replanning.drift import drift
from satllm_ros.replanning.fleet_state import FleetState
from satllm_ros.replanning.flight import FlightFacts
from satllm_ros.replanning.load_rates import LoadRates
from satllm_ros.replanning.selection import best_selection

RAW = CodecSetting.parse("raw")


class FlightPlanner:
    """Splits the model over the satellites alive, and weighs a new split against the plan that flies.

    Parameters
    ----------
    source
        Name of the sensing node that plans are made for.
    say
        Takes each decision for the log; the same decision is said once.

    Attributes
    ----------
    decision
        The last decision, in one sentence; empty before the first.
    why_not
        Why there is no plan for the satellites that were split over last; empty if there is one.
    """

    def __init__(self, fleet: FleetState, rates: LoadRates, *, source: str, say: Callable[[str], None]) -> None:
        self._fleet = fleet
        self._rates = rates
        self._source = source
        self._say = say
        self._said: object = None
        self._looked_at: FlightFacts | None = None
        # The plan that a doubtful gain was left for, and when.
        self._doubt: tuple[Epoch, float] | None = None
        self._solved: tuple[FlightFacts, Problem, Solution | Infeasible] | None = None
        self.decision = ""
        self.why_not = ""

    def split(self, alive: Sequence[str]) -> Plan | None:
        """The best plan for these satellites, without epoch; None, and `why_not`, if there is none."""
        facts = self._fleet.facts(alive)
        if facts is None:
            self.why_not = "no plan: no satellite is alive" if not alive else "no plan: nothing was reported yet"
            return None
        self._looked_at = facts
        if self._solved is None or self._solved[0] != facts:
            self._solved = (facts, *best_selection(facts))
        _, problem, outcome = self._solved
        if isinstance(outcome, Infeasible):
            self.why_not = "; ".join(explain(problem, outcome))
            return None
        if facts.real_links and (slow := too_long(outcome, facts.batch_tiles, source=self._source)):
            self.why_not = f"no plan: {'; '.join(slow)}"
            return None
        self.why_not = ""
        return self._draft(facts, outcome)

    def is_worth_it(self, draft: Plan, flying: Plan) -> bool:
        """Whether the gain of a draft made just now exceeds the cost of moving to it."""
        facts = self._looked_at
        assert facts is not None
        self._doubt = None
        if draft.stages == flying.stages:
            self._decide(f"stay with plan {flying.epoch}: it is still the best", flying, draft, "best")
            return False
        shares = _shares(flying, self._fleet.pinned), _shares(draft, self._fleet.pinned)
        decision = evaluate(facts, *shares, self._rates.bytes_per_s)
        if decision.is_worth_it and is_noise(
            decision, facts, *shares, self._rates.bytes_per_s, self._fleet.block_range_s
        ):
            self._doubt = flying.epoch, self._fleet.heard_s
            sentence = f"stay with plan {flying.epoch}: a new split gains no more than what speeds vary by"
            self._decide(sentence, flying, draft, "noise")
            return False
        kind = "leave" if decision.is_worth_it else "stay"
        self._decide(decision.sentence(f"plan {flying.epoch}") + self._pins(draft), flying, draft, kind)
        return decision.is_worth_it

    def reason(self, flying: Plan, alive: Sequence[str]) -> str:
        """Why another look is due while a plan flies; empty if nothing has changed since the last one."""
        facts = self._fleet.facts(alive)
        if facts is None:
            return ""
        if self._looked_at is None:
            return "first look at the plan that flies"
        if self._doubt and self._doubt[0] == flying.epoch and self._fleet.heard_s - self._doubt[1] >= DOUBT_S:
            return "another look at speeds that varied"
        alive_now = {s.name for s in facts.satellites}
        # Whoever is gone counts as new when it is back.
        kept = [s for s in self._looked_at.satellites if s.name in alive_now]
        self._looked_at = replace(self._looked_at, satellites=kept)
        changed = drift(self._looked_at, facts)
        if changed or unfit_for(self._looked_at, _shares(flying, {})):
            return changed
        unfit = unfit_for(facts, _shares(flying, {}))
        return f"{', '.join(unfit)} no longer has the memory for its blocks" if unfit else ""

    def explained(self, plan: Plan) -> tuple[Plan, list[str]]:
        """A plan that was split just now, with its predictions and its reasons filled in; and the reasons."""
        assert self._solved is not None
        facts, problem, outcome = self._solved
        assert isinstance(outcome, Solution)
        self._rates.on_proposal(
            (plan.epoch, plan.plan_hash), {s.satellite: held_bytes(facts, s.start, s.stop) for s in plan.stages}
        )
        lines = explain(problem, outcome)
        left_out = [s.name for s in facts.satellites if s.name not in plan.members]
        if left_out:
            lines.append(f"left out: {', '.join(left_out)}; with more, it would be slower or not fit")
        if pins := self._pins(plan):
            lines.append(pins.removeprefix("; "))
        if unused := [s.name for s in facts.satellites if s.name in self._fleet.unused_profiles]:
            lines.append(f"not used: profile of {', '.join(unused)}; the speed flown there is emulated")
        return replace(
            plan,
            predicted_makespan_s=outcome.predicted.exact_s,
            predicted_paper_s=outcome.predicted.paper_s,
            explanation="\n".join(lines),
        ), lines

    def _draft(self, facts: FlightFacts, solution: Solution) -> Plan:
        settings = [*map(CodecSetting.parse, solution.settings), RAW]
        return Plan(
            epoch=NO_EPOCH,
            planner_id="",
            model_id=facts.spec.model_id,
            source=self._source,
            stages=tuple(
                Stage(stage.satellite, stage.start, stage.stop, setting)
                for stage, setting in zip(solution.stages, settings, strict=True)
            ),
            downlink=solution.stages[-1].satellite,
            accuracy_floor=facts.accuracy_floor,
            # Under the seal, unlike what else is predicted: sensing goes by it.
            predicted_cycle_s=solution.bottleneck.seconds,
        )

    def _decide(self, sentence: str, flying: Plan, draft: Plan, kind: str) -> None:
        decision = (flying.epoch, draft.stages, kind)
        if decision != self._said:
            self._said, self.decision = decision, sentence
            self._say(sentence)

    def _pins(self, plan: Plan) -> str:
        """Settings of operators that differ from the plan's, in words."""
        pinned = self._fleet.pinned
        differing = [
            f"{stage.satellite} sends {pinned[stage.satellite]}, pinned by an operator, not {stage.setting}"
            for stage in plan.stages[:-1]
            if pinned.get(stage.satellite, str(stage.setting)) != str(stage.setting)
        ]
        return "".join(f"; {sentence}" for sentence in differing)


def _shares(plan: Plan, pinned: Mapping[str, str]) -> list[Assignment]:
    return [Assignment(s.satellite, s.start, s.stop, pinned.get(s.satellite, str(s.setting))) for s in plan.stages]
