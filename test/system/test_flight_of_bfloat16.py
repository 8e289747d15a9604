"""A bfloat16 model through five limited satellites gives the unsplit model's logits, as `make big` flies it."""

from pathlib import Path

import pytest
from gigantic.cargo import read_logits, run_unsplit, save_cargo
from gigantic.fly import fly
from gigantic.limits import limits_of
from gigantic.verdict import complaints

LIMIT_BYTES = 2_000_000_000
SATELLITES = 5


@pytest.mark.slow
def test_logits_as_flown_are_those_of_the_unsplit_model(tmp_path: Path) -> None:
    arguments = {"depth": 9, "embed_dim": 48, "num_heads": 3, "img_size": 64, "patch_size": 16}
    cargo = save_cargo(tmp_path, "vit_tiny_patch16_224", arguments, images=3)
    ended = run_unsplit(cargo, tmp_path / "unsplit.npz")
    assert ended.code == 0, ended.errors
    # The first layer alone, with the embedding, or two others: none of the five can be spared.
    memory_bytes = cargo.spec.layer_bytes[0]
    with limits_of(LIMIT_BYTES) as limits:
        flown = fly(
            cargo,
            tmp_path / "flight",
            limits,
            satellites=SATELLITES,
            memory_bytes=memory_bytes,
            limit_bytes=LIMIT_BYTES,
        )
    assert complaints(flown.rows, flown.exit_code, read_logits(tmp_path / "unsplit.npz"), flown.logits) == []
    assert len(flown.rows) == SATELLITES
    assert sum(row.parameter_bytes for row in flown.rows) == sum(cargo.spec.layer_bytes)
    assert all(row.parameter_bytes < row.resident_bytes for row in flown.rows)
