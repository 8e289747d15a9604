import ctypes
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from satllm_ros.model.engines.torch_engine import TorchEngine
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.satellite.external_blocks import ExternalBlocks
from satllm_ros.satellite.submodels import FrameworkError, MemoryBudgetError, NotLoadedError, SubModels

PATIENCE_S = 120.0
PLENTY = 10**9
GO_ON = threading.Event()
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def spec(checkpoint: Path) -> ModelSpec:
    return read_spec(checkpoint)


class Opened:
    """Sub-models under test, closed at the end."""

    def __init__(self, checkpoint: Path, spec: ModelSpec) -> None:
        self.checkpoint, self.spec = checkpoint, spec
        self.all: list[SubModels] = []

    def __call__(self, *, budget_bytes: int = PLENTY, block_s: float | None = None) -> SubModels:
        made = SubModels(
            TorchEngine(self.checkpoint, self.spec, threads=1),
            self.spec,
            memory_budget_bytes=budget_bytes,
            block_s=block_s,
            batch_tiles=2,
            share=1,
        )
        self.all.append(made)
        return made


@pytest.fixture
def opened(checkpoint: Path, spec: ModelSpec) -> Iterator[Opened]:
    made = Opened(checkpoint, spec)
    yield made
    for submodels in made.all:
        submodels.close()


def alone(checkpoint: Path, spec: ModelSpec) -> SubModels:
    """Sub-models that the test closes by itself."""
    engine = TorchEngine(checkpoint, spec, threads=1)
    return SubModels(engine, spec, memory_budget_bytes=PLENTY, block_s=None, batch_tiles=2, share=1)


def load(submodels: SubModels, start: int, stop: int) -> Exception | None:
    """Load and wait; returns what the caller was told."""
    told = threading.Event()
    answers: list[Exception | None] = []
    submodels.load(start, stop, lambda error: (answers.append(error), told.set()))
    assert told.wait(PATIENCE_S)
    return answers[0]


def test_chained_sub_models_compute_what_the_whole_model_does(opened: Opened, checkpoint: Path) -> None:
    import torch

    from satllm_ros.model.checkpoints.checkpoint import load_model

    submodels = opened()
    assert load(submodels, 0, 2) is None and load(submodels, 2, 3) is None
    inputs = submodels.prepare_images(IMAGES)
    activation, real_s = submodels.run(0, 2, inputs, GO_ON)
    logits, _ = submodels.run(2, 3, activation, GO_ON)
    with torch.inference_mode():
        assert np.array_equal(logits, load_model(checkpoint)(torch.from_numpy(inputs)).numpy())
    assert activation.shape == (3, submodels.spec.tokens, submodels.spec.width)
    assert real_s > 0 and submodels.real_block_s > 0


def test_blocks_that_are_not_loaded_cannot_run(opened: Opened) -> None:
    submodels = opened()
    load(submodels, 0, 1)
    with pytest.raises(NotLoadedError, match=r"blocks \(0, 2\] are not in memory"):
        submodels.run(0, 2, submodels.prepare_images(IMAGES), GO_ON)


def test_memory_counts_what_is_loaded_and_falls_when_it_is_dropped(opened: Opened, spec: ModelSpec) -> None:
    submodels = opened()
    load(submodels, 0, 2)
    load(submodels, 1, 3)
    both = submodels.memory_bytes
    assert both >= sum(spec.layer_bytes[0:2]) + sum(spec.layer_bytes[1:3])
    submodels.drop(0, 2)
    assert sum(spec.layer_bytes[1:3]) <= submodels.memory_bytes < both
    with pytest.raises(NotLoadedError, match=r"blocks \(0, 2\] are not in memory"):
        submodels.run(0, 2, submodels.prepare_images(IMAGES), GO_ON)


def test_the_budget_holds_with_the_sub_model_being_replaced_still_in_memory(opened: Opened, spec: ModelSpec) -> None:
    layers = spec.layer_bytes
    submodels = opened(budget_bytes=sum(layers) + layers[1] - 1)
    assert load(submodels, 0, 2) is None
    error = load(submodels, 1, 3)
    assert isinstance(error, MemoryBudgetError)
    assert f"blocks (1, 3] need {sum(layers[1:3]):,} bytes" in str(error)
    assert load(submodels, 2, 3) is None, "what fits beside it is loaded"
    submodels.drop(0, 2)
    assert load(submodels, 1, 3) is None, "what was dropped makes room"


def test_what_is_loaded_is_not_loaded_or_counted_twice(opened: Opened, spec: ModelSpec) -> None:
    submodels = opened(budget_bytes=sum(spec.layer_bytes))
    assert load(submodels, 0, 3) is None
    once = submodels.memory_bytes
    assert load(submodels, 0, 3) is None
    assert submodels.memory_bytes == once


def test_a_failed_load_is_told_and_the_next_one_works(opened: Opened) -> None:
    submodels = opened()
    error = load(submodels, 2, 9)
    assert error is not None and "(2, 9]" in str(error)
    assert load(submodels, 2, 3) is None


def test_a_listener_that_fails_does_not_end_the_loader(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    submodels = opened()

    def fail(error: Exception | None) -> None:
        raise RuntimeError("publisher is gone")

    submodels.load(0, 1, fail)
    assert load(submodels, 1, 2) is None
    assert "publisher is gone" in capsys.readouterr().err


def test_emulation_returns_no_earlier_than_planned_and_reports_the_real_time(opened: Opened) -> None:
    submodels = opened(block_s=0.02)
    load(submodels, 0, 2)
    inputs = submodels.prepare_images(IMAGES)
    submodels.run(0, 2, inputs, GO_ON)
    start_s = time.monotonic()
    _, real_s = submodels.run(0, 2, inputs, GO_ON)
    took_s = time.monotonic() - start_s
    assert took_s >= 0.02 * 2 * len(IMAGES)
    # The pause begins where the real time is read: whatever it was, both are in what the call took.
    assert real_s < took_s
    assert submodels.real_block_s < 0.02 * len(IMAGES)


class LettingGo:
    """In place of a stage: lets go of Python's lock in its midst, as torch does in every operation."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()

    def __call__(self, x: Any) -> Any:
        self.inside.set()
        self.go_on.wait()
        return x

    def close(self) -> None:
        pass


def test_who_holds_pythons_lock_does_not_make_inference_look_slow(opened: Opened) -> None:
    submodels, stage = opened(), LettingGo()
    load(submodels, 0, 2)
    submodels._loaded[0, 2] = stage
    inputs, held_s = submodels.prepare_images(IMAGES), 0.5
    took: dict[str, float] = {}

    def infer() -> None:
        start_s = time.monotonic()
        _, took["real"] = submodels.run(0, 2, inputs, GO_ON)
        took["wall"] = time.monotonic() - start_s

    # Else whoever waits for the lock looks again every 5 ms, and stands in line for a processor to do so.
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(10.0)
    inference = threading.Thread(target=infer)
    try:
        inference.start()
        stage.inside.wait()
        stage.go_on.set()
        # A call through PyDLL keeps the lock, as publish() to a slow link does.
        ctypes.PyDLL(None).usleep(int(held_s * 1e6))
        inference.join()
    finally:
        sys.setswitchinterval(before_s)
    assert took["real"] <= took["wall"] - held_s / 2


@pytest.mark.parametrize(("share", "budget_blocks", "blocks"), [(2, 3, 2), (3, 2, 2), (9, 9, 3), (2, 0, 1)])
def test_its_own_speed_is_measured_as_it_will_run(
    share: int, budget_blocks: int, blocks: int, checkpoint: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def block_seconds(stage: Any, tiles: int, repeats: int, within_s: float) -> float:
        measured.append((len(stage.blocks), tiles))
        return 0.5

    monkeypatch.setattr("satllm_ros.model.measure.block_seconds", block_seconds)
    submodels = SubModels(
        TorchEngine(checkpoint, spec, threads=1),
        spec,
        memory_budget_bytes=1 + budget_blocks * max(spec.layer_bytes),
        block_s=None,
        batch_tiles=7,
        share=share,
    )
    # The loader does one thing after the other.
    load(submodels, 0, 1)
    submodels.close()
    assert (measured, submodels.real_block_s) == ([(blocks, 7)], 0.5)


def test_close_leaves_what_is_queued_and_ends_the_loader(checkpoint: Path, spec: ModelSpec) -> None:
    submodels = alone(checkpoint, spec)
    entered, release = threading.Event(), threading.Event()
    told: list[Exception | None] = []

    def block(error: Exception | None) -> None:
        entered.set()
        assert release.wait(PATIENCE_S)

    submodels.load(0, 1, block)
    submodels.load(1, 2, told.append)
    assert entered.wait(PATIENCE_S)
    closer = threading.Thread(target=submodels.close, daemon=True)
    closer.start()
    while submodels._work.qsize() < 2:
        assert closer.is_alive()
    release.set()
    closer.join(PATIENCE_S)
    assert not closer.is_alive()
    assert (told, submodels.memory_bytes) == ([], 0)


def test_without_torch_readiness_says_so(checkpoint: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    submodels = alone(checkpoint, spec)
    error = load(submodels, 0, 1)
    assert isinstance(error, ImportError)
    with pytest.raises(FrameworkError, match="torch"):
        _ = submodels.ready
    submodels.close()


def test_an_external_stage_is_given_the_same_input(opened: Opened, spec: ModelSpec) -> None:
    ours = opened().prepare_images(IMAGES)
    theirs = ExternalBlocks(spec, 0.01, 1, lambda order: None).prepare_images(IMAGES)
    assert theirs.dtype == np.float32 and theirs.flags.c_contiguous
    assert np.allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_without_emulation_the_speed_is_known_before_the_first_batch(opened: Opened) -> None:
    measuring, emulating = opened(), opened(block_s=0.001)
    assert load(measuring, 0, 1) is None and load(emulating, 0, 1) is None
    assert measuring.ready and measuring.real_block_s > 0
    assert emulating.real_block_s == 0
