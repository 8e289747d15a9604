"""Every split and setting of a small problem, and what the formulas say of each; shares nothing with the planner."""

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem.solution import Solution

SLACK = 1e-12


@dataclass
class Plans:
    """All feasible plans of a problem: cuts (n, K+1), settings (n, K-1), and times of one batch."""

    cuts: np.ndarray
    chosen: np.ndarray
    upload_s: float
    compute_s: np.ndarray
    link_s: np.ndarray
    batches: int
    propagation_s: float

    def exact_s(self) -> NDArray[np.float64]:
        pace = np.maximum(self.upload_s, np.maximum(self.compute_s, self.link_s).max(axis=1))
        fill = self.upload_s + self.compute_s.sum(axis=1) + self.link_s.sum(axis=1)
        return fill + (self.batches - 1) * pace + self.propagation_s

    def paper_s(self) -> NDArray[np.float64]:
        before = np.concatenate([np.zeros((len(self.link_s), 1)), self.link_s[:, :-1]], axis=1)
        effective = self.compute_s + self.link_s - np.minimum(self.compute_s, before)
        return self.compute_s.sum(axis=1) + self.link_s.sum(axis=1) + (self.batches - 1) * effective.max(axis=1)

    def value(self, objective: str) -> NDArray[np.float64]:
        return self.exact_s() if objective == "exact" else self.paper_s()

    def only(self, index: int) -> "Plans":
        one = slice(index, index + 1)
        return Plans(
            self.cuts[one], self.chosen[one], self.upload_s, self.compute_s[one], self.link_s[one], self.batches, 0.0
        )


@dataclass
class Offer:
    """The settings of a document: (Q,) each; ratio and loss (Q, L+1) by cut, 0 at the input and the output."""

    names: list[str]
    ratio: np.ndarray
    encode: np.ndarray
    decode: np.ndarray
    accuracy: np.ndarray
    loss: np.ndarray


def by_cut(values: Any, layers: int) -> Any:
    """(Q, L+1) of one number or list of L-1 for each setting."""
    rows = [value if isinstance(value, list) else [value] * (layers - 1) for value in values]
    return np.pad(np.array(rows, dtype=float).reshape(len(rows), layers - 1), ((0, 0), (1, 1)))


def offer(document: dict[str, Any]) -> Any:
    compression, layers = document["compression"], len(document["model"]["layer_memory_bytes"])
    if "settings" not in compression:
        x, y = np.array(compression["accuracy"], dtype=float).T
        ratio = np.array(compression["ratios"], dtype=float)
        names, free = [f"ratio {q:g}" for q in ratio], np.zeros(len(ratio))
        accuracy = np.interp(ratio, x, y)
        loss = by_cut(np.interp(1.0, x, y) - accuracy, layers)
        return Offer(names, by_cut(ratio, layers), free, free, accuracy, loss)
    rows = compression["settings"]
    encode, decode, accuracy = (
        np.array([s.get(field, 0) for s in rows], dtype=float)
        for field in ("encode_s_per_byte", "decode_s_per_byte", "accuracy")
    )
    ratio = by_cut([s["ratio"] for s in rows], layers)
    raw = [s["accuracy"] for s, e, d in zip(rows, encode, decode, strict=True) if is_one(s["ratio"]) and e == d == 0]
    best = max(raw or accuracy)
    loss = by_cut([s.get("loss", best - s["accuracy"]) for s in rows], layers)
    return Offer([s["name"] for s in rows], ratio, encode, decode, accuracy, loss)


def is_one(ratio: Any) -> bool:
    return all(q == 1 for q in (ratio if isinstance(ratio, list) else [ratio]))


@cache
def all_splits(layers: int, count: int) -> NDArray[np.intp]:
    return np.array(
        [(0, *inner, layers) for inner in itertools.combinations_with_replacement(range(layers + 1), count - 1)]
    )


@cache
def all_choices(count: int, settings: int) -> NDArray[np.intp]:
    return np.array(list(itertools.product(range(settings), repeat=count)), dtype=int).reshape(settings**count, count)


def all_plans(document: dict[str, Any]) -> Plans:
    model, satellites = document["model"], document["satellites"]
    layers, count = len(model["layer_memory_bytes"]), len(satellites)
    splits = all_splits(layers, count)
    held = np.cumsum([0.0, *model["layer_memory_bytes"]])
    overhead = np.array([s.get("memory_overhead_bytes", 0) for s in satellites])
    memory = held[splits[:, 1:]] - held[splits[:, :-1]] + overhead <= [s["memory_bytes"] for s in satellites]
    present = (splits[:, 1:] > splits[:, :-1]) | [s.get("may_relay", False) for s in satellites]
    splits = splits[(memory & present).all(axis=1)]
    offered = offer(document)
    choices = all_choices(count - 1, len(offered.names))
    cuts = np.repeat(splits, len(choices), axis=0)
    chosen = np.tile(choices, (len(splits), 1))
    keep = allowed(document["compression"], offered, cuts, chosen, layers)
    cuts, chosen = cuts[keep], chosen[keep]
    upload_s, compute_s, link_s = times(document, offered, cuts, chosen)
    return Plans(cuts, chosen, upload_s, compute_s, link_s, document["batches"], propagation(document))


def allowed(
    compression: dict[str, Any], offered: Offer, cuts: NDArray[np.intp], chosen: NDArray[np.intp], layers: int
) -> NDArray[np.bool_]:
    """Floor or budget at the inner cuts; a relay passes on what it got; input and output have no setting."""
    inner = (cuts[:, 1:-1] > 0) & (cuts[:, 1:-1] < layers)
    keep = (inner | (chosen == 0)).all(axis=1)
    again = inner[:, 1:] & (cuts[:, 2:-1] == cuts[:, 1:-2])
    keep &= (~again | (chosen[:, 1:] == chosen[:, :-1])).all(axis=1)
    if "loss_budget" in compression:
        counted = inner.copy()
        counted[:, 1:] &= ~again
        losses = (offered.loss[chosen, cuts[:, 1:-1]] * counted).sum(axis=1)
        return keep & (losses <= compression["loss_budget"] + 1e-11)
    return keep & (~inner | (offered.accuracy[chosen] >= compression["accuracy_min"] - SLACK)).all(axis=1)


def times(
    document: dict[str, Any], offered: Offer, cuts: NDArray[np.intp], chosen: NDArray[np.intp]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """T_0 and (n, K) comp and comm."""
    model, satellites = document["model"], document["satellites"]
    layers = len(model["layer_memory_bytes"])
    sent = np.array(model["cut_bytes"], dtype=float)
    rate = np.array([link["rate_bps"] for link in document["links"]], dtype=float)
    seconds = [
        s["layer_s"] if "layer_s" in s else np.array(model["layer_flops"], dtype=float) / s["flops_per_s"]
        for s in satellites
    ]
    elapsed = np.array([np.cumsum([0.0, *row]) for row in seconds])
    rows = np.arange(len(satellites))
    compute = elapsed[rows, cuts[:, 1:]] - elapsed[rows, cuts[:, :-1]]
    works = cuts[:, 1:] > cuts[:, :-1]
    at = cuts[:, 1:-1]
    coded = (at > 0) & (at < layers)
    compute[:, :-1] += np.where(coded & works[:, :-1], offered.encode[chosen] * sent[at], 0)
    compute[:, 1:] += np.where(coded & works[:, 1:], offered.decode[chosen] * sent[at], 0)
    ratio = np.concatenate([np.where(coded, offered.ratio[chosen, at], 1.0), np.ones((len(cuts), 1))], axis=1)
    return 8 * sent[0] / rate[0], compute, 8 * sent[cuts[:, 1:]] * ratio / rate[1:]


def propagation(document: dict[str, Any]) -> float:
    return sum(link.get("propagation_s", 0) for link in document["links"])


def plan_of(document: dict[str, Any], outcome: Solution) -> Plans:
    """The plan that a solution names, checked to be a feasible one."""
    offered = offer(document)
    layers = len(document["model"]["layer_memory_bytes"])
    cuts = np.array([[outcome.stages[0].start, *(s.stop for s in outcome.stages)]])
    assert [s.start for s in outcome.stages] == cuts[0, :-1].tolist()
    inner = (cuts[0, 1:-1] > 0) & (cuts[0, 1:-1] < layers)
    places = [offered.names.index(n) if coded else 0 for n, coded in zip(outcome.settings, inner, strict=True)]
    chosen = np.array([places], dtype=int)
    assert cuts[0, 0] == 0 and cuts[0, -1] == layers and (np.diff(cuts) >= 0).all()
    assert allowed(document["compression"], offered, cuts, chosen, layers).all()
    for k, satellite in enumerate(document["satellites"]):
        start, stop = cuts[0, k], cuts[0, k + 1]
        held = sum(document["model"]["layer_memory_bytes"][start:stop]) + satellite.get("memory_overhead_bytes", 0)
        assert held <= satellite["memory_bytes"]
        assert start < stop or satellite.get("may_relay", False)
    upload_s, compute_s, link_s = times(document, offered, cuts, chosen)
    plan = Plans(cuts, chosen, upload_s, compute_s, link_s, document["batches"], propagation(document))
    assert [r for r in outcome.ratios] == [
        offered.ratio[q, at] if coded else 1.0 for q, at, coded in zip(chosen[0], cuts[0, 1:-1], inner, strict=True)
    ]
    counted = inner & (np.diff(cuts[0])[:-1] > 0)
    lost = sum(offered.loss[q, at] for q, at, counts in zip(chosen[0], cuts[0, 1:-1], counted, strict=True) if counts)
    assert abs(outcome.accuracy_loss - lost) < 1e-9
    return plan
