from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of a vit of 3 blocks, 16 wide, for tiles of 16x16 pixels and 2 classes."""
    import torch

    from satllm_ros.model.checkpoints.checkpoint import save_checkpoint
    from satllm_ros.model.structure import build

    torch.set_num_threads(1)
    torch.manual_seed(7)
    architecture = "vit_tiny_patch16_224"
    arguments = {"depth": 3, "embed_dim": 16, "num_heads": 2, "img_size": 16, "patch_size": 8, "num_classes": 2}
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    model = build(architecture, arguments)
    save_checkpoint(path, model, architecture, arguments, (0.5,) * 3, (0.25,) * 3, ("land", "sea"))
    return path
