"""Small random problems of every kind, from a seed."""

from typing import Any

import numpy as np

OPTIONS = ("free", "tied", "memory", "link", "costs", "budget", "relays", "cuts", "cut losses")


def random_document(rng: np.random.Generator, option: str) -> dict[str, Any]:
    """A problem of up to 4 satellites and 7 layers in which an option matters; some have no plan.

    Options are mixed into each other: a problem of one kind often has a little of the others.
    """
    layers = int(rng.integers(1, 8))
    count = min(layers, int(rng.choice([1, 2, 3, 3, 4, 4, 4])))
    if option == "relays":
        count = int(rng.choice([2, 3, 3, 4]))
    tied = option == "tied" or rng.random() < 0.2

    def work(size: int) -> list[float]:
        return (rng.integers(0, 4, size) if tied else rng.uniform(0, 50, size)).tolist()

    def also(wanted: str, chance: float = 0.15) -> bool:
        return option == wanted or rng.random() < chance

    memory = rng.integers(0, 5, layers).tolist()
    total = sum(memory)
    room = total * 2 // count + 1
    tight = also("memory")
    satellites = []
    for k in range(count):
        one = {"name": f"sat{k + 1}"}
        one["memory_bytes"] = int(rng.integers(room // 2, room + 1)) if tight else total + 2
        if rng.random() < 0.5:
            one["layer_s"] = work(layers)
        else:
            one["flops_per_s"] = float(rng.choice([0.5, 1, 2, 3]))
        if rng.random() < 0.3:
            one["memory_overhead_bytes"] = int(rng.integers(0, 3))
        if option == "relays":
            one["may_relay"] = bool(rng.random() < 0.7)
        satellites.append(one)
    slow = 0.1 if also("link") else 1.0
    rates = rng.choice([4, 8, 16], count + 1) if tied else rng.uniform(0.5, 200, count + 1)
    links = [{"rate_bps": float(rate) * slow} for rate in rates]
    if rng.random() < 0.3:
        links[-1]["propagation_s"] = float(rng.uniform(0, 5))
    return {
        "batches": int(rng.choice([1, 2, 5, 64, 10_000])),
        "model": {
            "layer_flops": work(layers),
            "layer_memory_bytes": memory,
            "cut_bytes": work(layers + 1) if rng.random() < 0.5 else work(1) * (layers + 1),
        },
        "satellites": satellites,
        "links": links,
        "compression": _compression(
            rng,
            tied,
            costs=also("costs"),
            budget=also("budget") or option == "cut losses",
            inner=layers - 1 if option.startswith("cut") or rng.random() < 0.05 else 0,
        ),
    }


def _compression(rng: np.random.Generator, tied: bool, *, costs: bool, budget: bool, inner: int) -> dict[str, Any]:
    number = int(rng.integers(1, 4))
    if costs or inner:
        names = [f"s{i}" for i in range(number)]
        cost = rng.choice([0, 0.1, 0.5, 1], (number, 2)) if tied else rng.uniform(0, 1, (number, 2))
        cost *= costs
        ratio, accuracy = rng.choice([0.05, 0.25, 0.5, 1.0], number), rng.choice([0.95, 0.93, 0.9, 0.7], number)
        offered = {
            "settings": [
                {
                    "name": names[i],
                    "ratio": float(ratio[i]),
                    "accuracy": float(accuracy[i]),
                    "encode_s_per_byte": float(cost[i, 0]),
                    "decode_s_per_byte": float(cost[i, 1]),
                }
                for i in range(number)
            ]
        }
        if rng.random() < 0.3:
            offered["settings"].append({"name": "raw", "ratio": 1.0, "accuracy": 0.96})
        if inner:
            _vary(rng, offered["settings"], tied, inner)
        floor, budgets = rng.choice([0.7, 0.9, 0.94]), [0.0, 0.03, 0.06, 0.1, 0.3, float(rng.uniform(0, 0.3))]
    else:
        offered = {
            "ratios": rng.choice([0.1, 0.25, 0.5, 0.75, 1.0], number, replace=False).tolist(),
            "accuracy": [[0.1, 0.5], [0.6, 0.85], [1.0, 1.0]],
        }
        floor, budgets = rng.choice([0.0, 0.6, 0.75, 1.0]), [0.0, 0.2, 0.5, 1.0, float(rng.uniform(0, 1))]
    return offered | ({"loss_budget": float(rng.choice(budgets))} if budget else {"accuracy_min": float(floor)})


def _vary(rng: np.random.Generator, settings: list[dict[str, Any]], tied: bool, inner: int) -> None:
    """Ratios and losses of most settings cut by cut, some of them gains."""
    for setting in settings:
        if rng.random() < 0.8:
            setting["ratio"] = (rng.choice([0.1, 0.5, 1.0], inner) if tied else rng.uniform(0.02, 1, inner)).tolist()
        if rng.random() < 0.8:
            losses = rng.choice([-0.02, 0.0, 0.01, 0.03, 0.05], inner) if tied else rng.uniform(-0.02, 0.1, inner)
            setting["loss"] = losses.tolist()
        elif rng.random() < 0.5:
            setting["loss"] = float(rng.choice([0.0, 0.02, 0.04]))
