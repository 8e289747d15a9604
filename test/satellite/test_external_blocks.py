"""Blocks that a stage written by someone else holds: orders, answers, and what makes it one that cannot be used."""

from pathlib import Path

import pytest

from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.satellite.external_blocks import (
    FAULTS_IN_A_ROW,
    BlocksState,
    ExternalBlocks,
    StageAnswer,
    StageOrder,
)

BOOT_ID = 7
FIRST, SECOND = (0, 2), (2, 3)


class Asked:
    """A board that asks, the orders it sent, and what it was told."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.orders: list[StageOrder] = []
        self.done: list[tuple[int, int]] = []
        self.blocks = ExternalBlocks(spec, 0.5, BOOT_ID, self.orders.append)

    def load(self, blocks: tuple[int, int]) -> None:
        self.blocks.load(*blocks, lambda error: self.done.append(blocks) if error is None else None)

    def answer(self, *states: tuple[tuple[int, int], BlocksState], **changes: object) -> None:
        given = {"boot_id": BOOT_ID, "number": self.orders[-1].number, "model_id": self.spec.model_id}
        given |= {"blocks": {blocks: (state, "no such engine") for blocks, state in states}}
        self.blocks.on_answer(StageAnswer(**(given | changes)))


@pytest.fixture
def asked(checkpoint: Path) -> Asked:
    return Asked(read_spec(checkpoint))


def test_an_order_names_all_that_shall_be_held(asked: Asked) -> None:
    asked.load(FIRST)
    asked.load(SECOND)
    asked.blocks.drop(*FIRST)
    assert [order.blocks for order in asked.orders] == [(FIRST,), (FIRST, SECOND), (SECOND,)]
    assert [order.number for order in asked.orders] == [1, 2, 3]
    assert {(order.boot_id, order.model_id) for order in asked.orders} == {(BOOT_ID, asked.spec.model_id)}
    assert asked.blocks.order == asked.orders[-1]


def test_blocks_are_loaded_when_the_stage_says_so_and_not_before(asked: Asked) -> None:
    asked.load(FIRST)
    asked.answer((FIRST, BlocksState.LOADING))
    assert not asked.done
    asked.answer((FIRST, BlocksState.READY))
    asked.answer((FIRST, BlocksState.READY))
    assert asked.done == [FIRST]
    # Whoever asks for what is held need not wait, and nothing is ordered twice.
    asked.load(FIRST)
    assert asked.done == [FIRST, FIRST] and len(asked.orders) == 1


def test_two_that_wait_for_the_same_blocks_are_both_told(asked: Asked) -> None:
    asked.load(FIRST)
    asked.load(FIRST)
    assert len(asked.orders) == 1
    asked.answer((FIRST, BlocksState.READY))
    assert asked.done == [FIRST, FIRST]


def test_an_answer_to_an_older_order_says_nothing_of_what_came_later(asked: Asked) -> None:
    asked.load(FIRST)
    asked.load(SECOND)
    asked.answer((FIRST, BlocksState.READY), number=1)
    assert asked.done == [FIRST] and not asked.blocks.trouble


@pytest.mark.parametrize("changes", [{"boot_id": BOOT_ID + 1}, {"number": 2}])
def test_an_answer_to_what_was_never_ordered_is_passed_over(asked: Asked, changes: dict[str, int]) -> None:
    asked.load(FIRST)
    asked.answer((FIRST, BlocksState.READY), **changes)
    assert not asked.done and not asked.blocks.trouble


@pytest.mark.parametrize(
    ("states", "changes", "said"),
    [
        ([(FIRST, BlocksState.FAILED)], {}, "it cannot hold blocks (0, 2]: 'no such engine'"),
        ([(FIRST, BlocksState.READY)], {"model_id": "f" * 16}, "it runs model 'ffffffffffffffff', this graph"),
    ],
)
def test_a_stage_that_cannot_is_trouble(
    asked: Asked, states: list[tuple[tuple[int, int], BlocksState]], changes: dict[str, str], said: str
) -> None:
    asked.load(FIRST)
    asked.answer(*states, **changes)
    assert said in asked.blocks.trouble and not asked.done


@pytest.mark.parametrize("states", [[], [(FIRST, BlocksState.LOADING)], [(FIRST, 77)]])
def test_a_stage_that_loses_what_it_held_is_trouble(
    asked: Asked, states: list[tuple[tuple[int, int], BlocksState]]
) -> None:
    asked.load(FIRST)
    asked.answer((FIRST, BlocksState.READY))
    asked.answer(*states)
    assert asked.blocks.trouble == "it does not hold blocks (0, 2] any more"


def test_single_faults_are_borne_and_a_row_of_them_is_not(asked: Asked) -> None:
    for _ in range(2):
        for _ in range(FAULTS_IN_A_ROW - 1):
            asked.blocks.note_fault("no answer")
        asked.blocks.note_run(2, 4, 1.0)
    assert not asked.blocks.trouble
    for _ in range(FAULTS_IN_A_ROW):
        asked.blocks.note_fault("no answer")
    assert asked.blocks.trouble == "3 batches in a row went wrong, the last one: no answer"


def test_its_speed_is_the_file_s_until_it_is_measured(asked: Asked) -> None:
    assert asked.blocks.real_block_s == 0.5
    asked.blocks.note_run(2, 4, 8.0)
    assert asked.blocks.real_block_s == pytest.approx(1.0)
    for _ in range(50):
        asked.blocks.note_run(2, 4, 16.0)
    assert asked.blocks.real_block_s == pytest.approx(2.0, rel=0.01)
