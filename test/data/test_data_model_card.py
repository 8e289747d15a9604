from pathlib import Path

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.model.spec import read_spec


def test_the_model_card_describes_the_shipped_checkpoint() -> None:
    card = (Path(__file__).parents[2] / "docs" / "model-card.md").read_text(encoding="utf-8")
    spec = read_spec(asset(DEMO_CHECKPOINT))
    facts = (
        spec.model_id,
        spec.architecture,
        f"L = {spec.blocks}",
        f"S = {spec.tokens}",
        f"D = {spec.width}",
    )
    assert [fact for fact in (*facts, *map(str, (*spec.mean, *spec.std)), *spec.classes) if fact not in card] == []
