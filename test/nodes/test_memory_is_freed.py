"""What a cleaned-up stage gives back, as the system counts it."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

BLOCKS = 3


@pytest.fixture(scope="module")
def large_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of 85 MB of parameters as float32, in tensors that malloc would keep."""
    from satllm_ros.model.checkpoints.checkpoint import save_checkpoint
    from satllm_ros.model.structure import build

    architecture = "vit_base_patch16_224"
    arguments = {"depth": BLOCKS, "img_size": 32, "patch_size": 16, "num_classes": 2}
    path = tmp_path_factory.mktemp("model") / "large.safetensors"
    model = build(architecture, arguments)
    save_checkpoint(path, model, architecture, arguments, (0.5,) * 3, (0.25,) * 3, ("land", "sea"))
    return path


@pytest.fixture(scope="module")
def artefacts_of_it(large_checkpoint: Path) -> Path:
    """Codec artefacts that serve `raw` only."""
    from satllm_ros.compression.tables.artefacts import Artefacts, save_artefacts
    from satllm_ros.model.spec import read_spec

    spec = read_spec(large_checkpoint)
    path = large_checkpoint.with_suffix(".codec.safetensors")
    save_artefacts(path, Artefacts(spec.model_id, spec.prefix_tokens, spec.width, {}))
    return path


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries decide themselves what to give back")
def test_cleanup_gives_the_memory_of_the_model_back(large_checkpoint: Path, artefacts_of_it: Path, domain: int) -> None:
    script = Path(__file__).with_name("lives_of_a_stage.py")
    ended = subprocess.run(
        [sys.executable, "-P", script, large_checkpoint, artefacts_of_it, str(BLOCKS)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"ROS_DOMAIN_ID": str(domain)},
    )
    assert ended.returncode == 0, ended.stderr
    first, second = json.loads(ended.stdout)
    for life in (first, second):
        assert life["parameters"] > 80_000_000
        assert life["loaded"] - life["cleaned"] > 0.9 * life["parameters"], (first, second)
    # What frameworks keep for themselves is kept once.
    assert second["cleaned"] - first["cleaned"] < 0.1 * first["parameters"], (first, second)
