"""The exact solver against enumeration of every split and setting, written from the formulas alone."""

import copy
import itertools
import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satllm_ros.planning.problem_json import from_json
from satllm_ros.planning.solution import Infeasible, Solution
from satllm_ros.planning.solve import solve

SOLVED = json.loads((Path(__file__).parent / "data" / "solved_instances.json").read_text())


def offered(compression):
    """(ratio, encode, decode) of the settings that meet the floor."""
    if "settings" in compression:
        rows = [
            (s["ratio"], s.get("encode_s_per_byte", 0), s.get("decode_s_per_byte", 0), s["accuracy"])
            for s in compression["settings"]
        ]
    else:
        (x0, y0), (x1, y1) = compression["accuracy"]
        rows = [(q, 0, 0, y0 + (y1 - y0) * (q - x0) / (x1 - x0)) for q in compression["ratios"]]
    return [row[:3] for row in rows if row[3] >= compression["accuracy_min"] - 1e-12]


def stage_times(document, cuts, chosen):
    """T_0, comp and comm of one batch."""
    model, sent = document["model"], document["model"]["cut_bytes"]
    rates = [link["rate_bps"] for link in document["links"]]
    compute, link = [], []
    for k, satellite in enumerate(document["satellites"]):
        start, stop = cuts[k], cuts[k + 1]
        if "layer_s" in satellite:
            seconds = sum(satellite["layer_s"][start:stop])
        else:
            seconds = sum(model["layer_flops"][start:stop]) / satellite["flops_per_s"]
        ratio = 1
        if k > 0:
            seconds += chosen[k - 1][2] * sent[start]
        if k < len(document["satellites"]) - 1:
            ratio, encode, _ = chosen[k]
            seconds += encode * sent[stop]
        compute.append(seconds)
        link.append(8 * ratio * sent[stop] / rates[k + 1])
    return 8 * sent[0] / rates[0], compute, link


def exact_value(document, upload, compute, link):
    propagation = sum(entry.get("propagation_s", 0) for entry in document["links"])
    fill = upload + sum(compute) + sum(link) + propagation
    return fill + (document["batches"] - 1) * max(upload, *compute, *link)


def paper_value(document, upload, compute, link):
    worst = max(c + m - (min(c, link[k - 1]) if k else 0) for k, (c, m) in enumerate(zip(compute, link, strict=True)))
    return sum(compute) + sum(link) + (document["batches"] - 1) * worst


def fits(document, cuts):
    memory = document["model"]["layer_memory_bytes"]
    return all(
        sum(memory[cuts[k] : cuts[k + 1]]) + s.get("memory_overhead_bytes", 0) <= s["memory_bytes"]
        for k, s in enumerate(document["satellites"])
    )


def brute_force(document, value=exact_value):
    """The least value over everything, inf if nothing is feasible."""
    layers, count = len(document["model"]["layer_memory_bytes"]), len(document["satellites"])
    choices, best = offered(document["compression"]), math.inf
    for inner in itertools.combinations(range(1, layers), count - 1):
        cuts = (0, *inner, layers)
        if fits(document, cuts):
            for chosen in itertools.product(choices, repeat=count - 1):
                best = min(best, value(document, *stage_times(document, cuts, chosen)))
    return best


@st.composite
def documents(draw, max_satellites=4, min_layers=1, max_layers=7, max_settings=3):
    """Small problems; few distinct values make ties, tight memory makes some infeasible."""
    # Long chains more often than short ones, which leave little to choose.
    layers = max(draw(st.integers(min_layers, max_layers)), draw(st.integers(min_layers, max_layers)))
    count = min(layers, draw(st.sampled_from([*range(max_satellites, 1, -1)] * 2 + [1])))
    scale = draw(st.sampled_from(["ties", "spread"]))
    work = st.integers(0, 3) if scale == "ties" else st.floats(0, 50)
    rate = st.sampled_from([4, 8, 16]) if scale == "ties" else st.floats(0.5, 200)

    def several(values, number):
        return draw(st.lists(values, min_size=number, max_size=number))

    memory = several(st.integers(0, 4), layers)
    roomy = sum(memory) * 2 // count + 1
    satellites, tight = [], draw(st.sampled_from([False, False, True]))
    for k in range(count):
        budget = draw(st.integers(roomy // 2, roomy)) if tight else roomy + sum(memory)
        satellite = {"name": f"sat{k + 1}", "memory_bytes": budget}
        if draw(st.booleans()):
            satellite["layer_s"] = several(work, layers)
        else:
            satellite["flops_per_s"] = draw(st.sampled_from([0.5, 1, 2, 3]))
        if draw(st.booleans()):
            satellite["memory_overhead_bytes"] = draw(st.integers(0, 2))
        satellites.append(satellite)
    if draw(st.booleans()):
        cut_bytes = several(work, layers + 1)
    else:
        cut_bytes = [draw(work)] * (layers + 1)
    links = [{"rate_bps": r} for r in several(rate, count + 1)]
    if draw(st.booleans()):
        links[-1]["propagation_s"] = draw(st.floats(0, 5))
    if draw(st.booleans()):
        compression = {
            "ratios": several(st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]), draw(st.integers(1, max_settings))),
            "accuracy": [[0.1, 0.5], [1.0, 1.0]],
            "accuracy_min": draw(st.sampled_from([0.0, 0.6, 0.75, 0.6, 1.0])),
        }
    else:
        cost = st.sampled_from([0, 0.1, 0.5, 1]) if scale == "ties" else st.floats(0.01, 1)
        compression = {
            "settings": [
                {
                    "name": f"s{i}",
                    "ratio": draw(st.sampled_from([0.05, 0.25, 0.5, 1.0])),
                    "encode_s_per_byte": draw(cost),
                    "decode_s_per_byte": draw(cost),
                    "accuracy": draw(st.sampled_from([0.95, 0.9, 0.7])),
                }
                for i in range(draw(st.sampled_from(range(max_settings, 0, -1))))
            ],
            "accuracy_min": draw(st.sampled_from([0.7, 0.9])),
        }
    return {
        "batches": draw(st.sampled_from([1, 2, 5, 64, 10_000])),
        "model": {"layer_flops": several(work, layers), "layer_memory_bytes": memory, "cut_bytes": cut_bytes},
        "satellites": satellites,
        "links": links,
        "compression": compression,
    }


def check_solution(document, outcome, best):
    """A solution is the optimum, and what it says of itself is true."""
    assert outcome.delay_s == pytest.approx(best, rel=1e-9, abs=1e-9)
    assert outcome.proven_optimal and outcome.predicted.exact_s == outcome.delay_s
    cuts = (0, *(stage.stop for stage in outcome.stages))
    assert [stage.start for stage in outcome.stages] == list(cuts[:-1])
    assert all(a < b for a, b in itertools.pairwise(cuts)) and fits(document, cuts)
    if "settings" in document["compression"]:
        by_name = {s["name"]: s for s in document["compression"]["settings"]}
        chosen = [by_name[name] for name in outcome.settings]
        assert all(s["accuracy"] >= document["compression"]["accuracy_min"] for s in chosen)
        chosen = [(s["ratio"], s["encode_s_per_byte"], s["decode_s_per_byte"]) for s in chosen]
    else:
        chosen = [(ratio, 0, 0) for ratio in outcome.ratios]
        assert set(chosen) <= set(offered(document["compression"]))
    upload, compute, link = stage_times(document, cuts, chosen)
    assert exact_value(document, upload, compute, link) == pytest.approx(outcome.delay_s)
    assert paper_value(document, upload, compute, link) == pytest.approx(outcome.predicted.paper_s)
    assert outcome.bottleneck.seconds == pytest.approx(max(upload, *compute, *link))
    assert [s.compute_s for s in outcome.satellites] == pytest.approx(compute)
    assert outcome.link_s == pytest.approx((upload, *link))
    assert 0 <= outcome.lower_bound_s <= outcome.delay_s
    assert 0 <= outcome.gap <= 1


def check_infeasible(document, outcome):
    """The reasons are real: with the relaxations there is a plan, a byte short of them there is none."""
    assert outcome.reasons
    relaxed, short = copy.deepcopy(document), None
    for reason in outcome.reasons:
        if reason.constraint == "accuracy":
            lowered = re.search(r"accuracy_min to ([\d.]+)", reason.relaxation)
            relaxed["compression"]["accuracy_min"] = float(lowered[1])
    for reason in outcome.reasons:
        if reason.constraint == "memory":
            whom, lack = re.fullmatch(r"give (.+) ([\d,]+) bytes? more memory", reason.relaxation).groups()
            short = copy.deepcopy(relaxed)
            for satellite, other in zip(relaxed["satellites"], short["satellites"], strict=True):
                if whom in (satellite["name"], "every satellite"):
                    satellite["memory_bytes"] += int(lack.replace(",", ""))
                    other["memory_bytes"] += int(lack.replace(",", "")) - 1
    assert solve(from_json(relaxed)).feasible
    assert short is None or not solve(from_json(short)).feasible


def check(document):
    best, outcome = brute_force(document), solve(from_json(document))
    if math.isinf(best):
        assert isinstance(outcome, Infeasible)
        check_infeasible(document, outcome)
    else:
        assert isinstance(outcome, Solution)
        check_solution(document, outcome, best)


@settings(max_examples=700, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_equals_enumeration(document):
    check(document)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(documents(max_satellites=3, min_layers=15, max_layers=30, max_settings=2))
def test_equals_enumeration_of_many_layers(document):
    check(document)


def test_times_among_the_smallest_of_doubles_end():
    document = copy.deepcopy(SOLVED[0]["problem"])
    document["model"]["layer_flops"] = [5e-324] * 6
    document["model"]["cut_bytes"] = [0] * 7
    check(document)


@pytest.mark.parametrize("instance", SOLVED, ids=[instance["id"] for instance in SOLVED])
def test_solved_instances(instance):
    document, expected = instance["problem"], instance["expected"]["exact"]
    outcome = solve(from_json(document))
    assert outcome.feasible == expected["feasible"]
    if outcome.feasible:
        check_solution(document, outcome, expected["delay_s"])
        paper = instance["expected"]["paper"]["delay_s"]
        assert brute_force(document, paper_value) == pytest.approx(paper)


def test_objective_must_be_known():
    with pytest.raises(ValueError, match="objective is 'fastest'; allowed: exact"):
        solve(from_json(SOLVED[0]["problem"]), "fastest")
