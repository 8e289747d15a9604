"""A bundle computes what its checkpoint does, of every family; chained parts what all of them do, bit for bit."""

from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from tiny_models import MEMBERS, save_member

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.engines.bundle import Manifest, part_path
from satllm_ros.model.engines.onnx_engine import OnnxEngine
from satllm_ros.model.export.graphs import PartGraph
from satllm_ros.model.export.write import export_bundle
from satllm_ros.model.spec import ModelSpec, read_spec

# Between PyTorch and ONNX Runtime; logits of these models are about 0.2.
NEAR = 1e-6
BATCH, LAST = 3, 1


class Exported:
    """A checkpoint, its bundle, and an engine of it."""

    def __init__(self, checkpoint: Path, folder: Path) -> None:
        self.checkpoint, self.folder = checkpoint, folder
        self.spec: ModelSpec = read_spec(checkpoint)
        self.manifest: Manifest = export_bundle(checkpoint, self.spec, folder, lambda: None)
        self.engine = OnnxEngine(folder, self.manifest, threads=1)

    def chain(self, x: NDArray[np.float32], cuts: tuple[int, ...]) -> NDArray[np.float32]:
        """As satellites do: each loads its own, and activations are carried as bytes."""
        for start, stop in pairwise((0, *cuts, self.spec.blocks)):
            y = self.engine.load(start, stop)(x)
            x = np.frombuffer(y.tobytes(), np.float32).reshape(y.shape)
        return x


@pytest.fixture(scope="module", params=MEMBERS)
def member(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp(request.param)
    # As their names say: an index and angles of a grid that is not square are other ones.
    shape = {} if "hybrid" in request.param else {"img_size": [32, 48]}
    yield Exported(save_member(folder, request.param, **shape), folder / "bundle")


def inputs(spec: ModelSpec, tiles: int) -> NDArray[np.float32]:
    shape = (tiles, 3, spec.image_height, spec.image_width)
    return np.random.default_rng(tiles).standard_normal(shape).astype(np.float32)


def torch_logits(checkpoint: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits: NDArray[np.float32] = load_model(checkpoint)(torch.from_numpy(x)).numpy()
        return logits


def test_every_cut_set_gives_the_unsplit_logits_in_whole_and_incomplete_batches(member: Exported) -> None:
    blocks = member.spec.blocks
    for tiles in (BATCH, LAST):
        x = inputs(member.spec, tiles)
        expected = member.engine.load(0, blocks)(x)
        assert expected.std() > 0
        for cuts in (c for count in range(blocks) for c in combinations(range(1, blocks), count)):
            assert np.array_equal(member.chain(x, cuts), expected), cuts
        assert np.abs(expected - torch_logits(member.checkpoint, x)).max() <= NEAR


def test_tables_are_not_kept_once_a_block(member: Exported) -> None:
    parameters = sum(4 * int(np.prod(shape)) for shape in member.spec.shapes.values())
    assert sum(part.weight_bytes for part in member.manifest.parts.values()) <= 1.1 * parameters
    # What grows with the square of the tokens would be seen here, whatever the width.
    tokens = member.spec.tokens - member.spec.prefix_tokens
    for block in range(1, member.spec.blocks + 1):
        graph = onnx.load(part_path(member.folder, f"block_{block:03d}")).graph
        constants = [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
        assert not [list(t.dims) for t in (*graph.initializer, *constants) if list(t.dims).count(tokens) > 1]


def test_a_bfloat16_checkpoint_is_exported_as_float32(tmp_path: Path) -> None:
    from satllm_ros.model.checkpoints.random_weights import save_random_checkpoint

    checkpoint = tmp_path / "big.safetensors"
    arguments = {"depth": 2, "embed_dim": 48, "num_heads": 3, "img_size": 32, "patch_size": 8, "num_classes": 2}
    save_random_checkpoint(
        checkpoint, "eva02_tiny_patch14_224", arguments, (0.5,) * 3, (0.2,) * 3, ("land", "sea"), seed=1
    )
    made = Exported(checkpoint, tmp_path / "bundle")
    assert (made.manifest.precision, made.manifest.checkpoint_precision) == ("float32", "bfloat16")
    x = inputs(made.spec, 2)
    difference = np.abs(made.chain(x, (1,)) - torch_logits(checkpoint, x)).max()
    assert 0 < difference < 0.05, "bfloat16 has 8 bits, float32 has 24"
    assert made.engine.layer_bytes[0] > 1.9 * made.spec.layer_bytes[0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(asset(DEMO_CHECKPOINT), tmp_path_factory.mktemp("demo") / "bundle")


def test_the_demo_is_as_large_as_its_checkpoint_in_float32(demo: Exported) -> None:
    parameters = sum(4 * int(np.prod(shape)) for shape in demo.spec.shapes.values())
    assert sum(file.stat().st_size for file in demo.folder.iterdir()) <= 1.1 * parameters


def test_the_demo_is_near_one_graph_of_the_whole_model(demo: Exported, tmp_path: Path) -> None:
    from onnxruntime import InferenceSession

    model = load_model(demo.checkpoint)
    whole = tmp_path / "whole.onnx"
    PartGraph(model, model, (3, demo.spec.image_height, demo.spec.image_width)).save(whole)
    x = inputs(demo.spec, 10)
    (expected,) = InferenceSession(str(whole), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    assert np.abs(demo.chain(x, (3, 6, 9)) - expected).max() <= 1e-5
