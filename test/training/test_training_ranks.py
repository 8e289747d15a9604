"""Processes that train together, really started by torchrun."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from satllm_ros.training.ranks import Ranks
from satllm_ros.training.recipe import Recipe, TrainingError
from satllm_ros.training.train import CHECKPOINT, METRICS, TEST_ACCURACY, train

TOGETHER = (sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# Ends with an error unless both processes hold the same weights, and they moved.
TRAINER = """
import sys
from pathlib import Path
import torch
from torch import distributed
from satllm_ros.training import epoch
from satllm_ros.training.ranks import joined_ranks
from satllm_ros.training.recipe import Recipe
from satllm_ros.training import train as module

models = []
begin = module.begin_model
module.begin_model = lambda *arguments: models.append(begin(*arguments)) or models[-1]
with joined_ranks() as ranks:
    recipe = Recipe(
        arguments={"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2},
        epochs=15, batch_size=16, learning_rate=1e-2,
    )
    rows = module.train(Path(sys.argv[1]), Path(sys.argv[2]), recipe, ranks=ranks)
    assert rows[-1].images == 24
    for tensor in models[0].state_dict().values():
        of_first = tensor.clone()
        distributed.broadcast(of_first, 0)
        assert torch.equal(of_first, tensor), "the weights have drifted apart"
"""


def together(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOGETHER, *arguments], capture_output=True, text=True, timeout=240, check=False)


def test_two_processes_learn_as_one_and_keep_the_same_weights(colored_data: Path, tmp_path: Path) -> None:
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER)
    ended = together(str(script), str(colored_data), str(tmp_path / "out"))
    assert ended.returncode == 0, ended.stderr
    with (tmp_path / "out" / METRICS).open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 15
    with (tmp_path / "out" / TEST_ACCURACY).open(newline="") as file:
        of_all = list(csv.DictReader(file))[-1]
    assert int(of_all["correct"]) > 0.9 * int(of_all["images"])


@pytest.mark.slow
def test_the_command_under_torchrun_talks_once(colored_data: Path, tmp_path: Path) -> None:
    model = ("img_size=16", "patch_size=8", "embed_dim=16", "depth=2", "num_heads=2")
    out = tmp_path / "out"
    command = ("-m", "satllm_ros.cli.main", "train", "--data", str(colored_data), "--out", str(out), "--epochs", "2")
    ended = together(*command, "--batch-size", "7", "--model-args", *model)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("test accuracy of") == 1 and (out / CHECKPOINT).exists()


def test_a_batch_is_shared_whole() -> None:
    batch = torch.arange(7)
    shares = [Ranks(rank, 3).share(batch) for rank in range(3)]
    assert [len(share) for share in shares] == [3, 2, 2] and torch.equal(torch.cat(shares), batch)


def test_a_batch_too_small_to_share_is_named(colored_data: Path, tiny_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="batch_size 16 is less than one image for each of 17 processes"):
        train(colored_data, tmp_path, tiny_recipe, ranks=Ranks(0, 17))
