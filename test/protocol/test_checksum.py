import dataclasses

import pytest

from satllm_ros.protocol.checksum import seal
from satllm_ros.protocol.identity import BatchId, Envelope, Epoch

ENVELOPE = Envelope(
    batch=BatchId(2**63 + 5, 7, 1),
    sender="sat1",
    destination="sat2",
    epoch=Epoch(3, 4),
    plan_hash="0011223344556677",
    low_water=Epoch(3, 2),
    model_id="8899aabbccddeeff",
    run_id=2**63 + 9,
    source_id="bag",
    frames=(10, 2**64 - 1),
    tile_indices=(0, 3),
)
PAYLOAD = bytes(range(64))
SEALED = seal(ENVELOPE, 5, PAYLOAD)

CHANGES: dict[str, dict[str, object]] = {
    "boot id": {"batch": BatchId(2**63 + 4, 7, 1)},
    "sequence": {"batch": BatchId(2**63 + 5, 8, 1)},
    "attempt": {"batch": BatchId(2**63 + 5, 7, 0)},
    "incarnation": {"epoch": Epoch(2, 4)},
    "counter": {"epoch": Epoch(3, 5)},
    "low water incarnation": {"low_water": Epoch(2, 2)},
    "low water counter": {"low_water": Epoch(3, 3)},
    "plan hash": {"plan_hash": "0011223344556678"},
    "model": {"model_id": "8899aabbccddeefe"},
    "run": {"run_id": 2**63 + 8},
    "source": {"source_id": "bug"},
    "text moved to the next field": {"plan_hash": "00112233445566778", "model_id": "899aabbccddeeff"},
    "frame": {"frames": (10, 2**64 - 2)},
    "order of frames": {"frames": (2**64 - 1, 10)},
    "tile index": {"tile_indices": (1, 3)},
    "order of tiles": {"tile_indices": (3, 0)},
    "a tile less": {"frames": (10,), "tile_indices": (0,)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_fact_of_the_envelope_flips_the_seal(change: str) -> None:
    assert seal(dataclasses.replace(ENVELOPE, **CHANGES[change]), 5, PAYLOAD) != SEALED


def test_no_field_is_left_out_but_sender_and_destination() -> None:
    tried = {field for change in CHANGES.values() for field in change}
    assert {field.name for field in dataclasses.fields(Envelope)} == tried | {"sender", "destination"}


def test_the_seal_outlives_the_hops() -> None:
    assert seal(dataclasses.replace(ENVELOPE, sender="sat8", destination="ground"), 5, PAYLOAD) == SEALED


def test_cut_and_payload_flip_the_seal() -> None:
    assert seal(ENVELOPE, 6, PAYLOAD) != SEALED
    assert seal(ENVELOPE, 5, PAYLOAD[:-1]) != SEALED
    for bit in range(0, 8 * len(PAYLOAD), 37):
        flipped = bytearray(PAYLOAD)
        flipped[bit // 8] ^= 1 << bit % 8
        assert seal(ENVELOPE, 5, flipped) != SEALED


def test_any_buffer_of_the_same_bytes_has_the_same_seal() -> None:
    assert seal(ENVELOPE, 5, memoryview(bytearray(PAYLOAD))) == SEALED


def test_text_that_is_no_unicode_is_sealed_too() -> None:
    assert seal(dataclasses.replace(ENVELOPE, source_id="\udcff"), 5, PAYLOAD) != SEALED
