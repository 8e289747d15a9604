"""A plan in a few lines, for the person who has to trust it."""

from dataclasses import replace

from satllm_ros.planning.problem.checks import LARGEST
from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.solution import Infeasible, Solution, StagePlan
from satllm_ros.planning.solver.outcome import resource_names
from satllm_ros.planning.solver.solve import solve


def explain(problem: Problem, outcome: Solution | Infeasible) -> list[str]:
    """Five lines: who gets what, the bottleneck with the prediction, the slack, the gap, what would change it.

    Solves two variants of the problem, so it costs about twice as much as solving it.
    """
    if isinstance(outcome, Infeasible):
        return [f"no plan: {r.sentence}; nearest change: {r.relaxation}" for r in outcome.reasons]
    pace_s = outcome.bottleneck.seconds
    what = "effective time (Eq. 14)" if outcome.objective == "paper" else f"per batch{_rate(pace_s)}"
    proven = "proven optimal" if outcome.proven_optimal else "not proven optimal"
    return [
        f"plan: {_who(problem, outcome)}",
        f"bottleneck: {outcome.bottleneck.resource}, {_time(pace_s)} {what}; predicted: "
        f"{_time(outcome.predicted.exact_s)} for {problem.batches} "
        f"{'batch' if problem.batches == 1 else 'batches'} (the paper's formula: {_time(outcome.predicted.paper_s)})",
        "slack: " + ", ".join(f"{s.name} {s.slack:.0%}" for s in outcome.satellites),
        f"gap: {outcome.gap:.1%} down to {_time(outcome.lower_bound_s)}, which no plan could beat even if "
        f"blocks were divisible; this plan is {proven} ({outcome.objective} objective)",
        f"would change it: {_changes(problem, outcome)}",
    ]


def _rate(pace_s: float) -> str:
    return f", {1 / pace_s:.3g} batches/s" if pace_s > 0 else ""


def _who(problem: Problem, solution: Solution) -> str:
    parts = []
    for k, stage in enumerate(solution.stages):
        sends = f" sends {solution.settings[k]}" if k < len(solution.settings) else ""
        parts.append(f"{stage.satellite} {_blocks(stage)}{sends}")
    budget = problem.compression.loss_budget
    lost = "" if budget is None else f"; loses {solution.accuracy_loss:.4g} of the {budget:g} allowed in accuracy"
    return "; ".join(parts) + lost


def _blocks(stage: StagePlan) -> str:
    if stage.start == stage.stop:
        return "relays,"
    return f"block {stage.stop}" if stage.stop == stage.start + 1 else f"blocks {stage.start + 1}-{stage.stop}"


def _changes(problem: Problem, solution: Solution) -> str:
    variants = [
        (
            f"{solution.bottleneck.resource} twice as fast",
            _twice_as_fast(problem, solution.bottleneck.resource),
        ),
        ("memory without limit", _without_memory_limit(problem)),
    ]
    effects = []
    for what, variant in variants:
        changed = solve(variant, solution.objective)
        if isinstance(changed, Solution) and changed.delay_s < solution.delay_s * (1 - 1e-9):
            gain = 1 - changed.delay_s / solution.delay_s
            moved = "another split" if changed.stages != solution.stages else "the same split"
            effects.append(f"{what} gives {_time(changed.delay_s)} (-{gain:.0%}, {moved})")
        else:
            effects.append(f"{what} gains nothing")
    return "; ".join(effects)


def _twice_as_fast(problem: Problem, resource: str) -> Problem:
    index = resource_names(problem).index(resource)
    if index % 2 == 0:
        links = list(problem.links)
        links[index // 2] = replace(links[index // 2], rate_bps=_doubled(links[index // 2].rate_bps))
        return replace(problem, links=links)
    satellites = list(problem.satellites)
    slow = satellites[index // 2]
    if slow.flops_per_s is not None:
        faster = replace(slow, flops_per_s=_doubled(slow.flops_per_s))
    else:
        faster = replace(slow, layer_s=[t / 2 for t in slow.layer_s or ()])
    satellites[index // 2] = faster
    return replace(problem, satellites=satellites)


def _doubled(speed: float) -> float:
    return min(2 * speed, LARGEST)


def _without_memory_limit(problem: Problem) -> Problem:
    needed = sum(problem.model.layer_memory_bytes)
    overhead = max(s.memory_overhead_bytes for s in problem.satellites)
    unlimited = min(needed + overhead, LARGEST)
    return replace(
        problem,
        satellites=[replace(s, memory_bytes=max(s.memory_bytes, unlimited)) for s in problem.satellites],
    )


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
