"""What a model in training sees of its codec is what it will see in flight."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from satllm_ros.assets.paths import DEMO_ARTEFACTS, DEMO_CHECKPOINT, asset
from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.structure import build
from satllm_ros.training import epoch as epoch_module
from satllm_ros.training.beginning import begin_optimizer
from satllm_ros.training.compressed.cascade import Draw, run_cascade
from satllm_ros.training.compressed.loop_codec import Annealing, FrameCodec, LoopCodec
from satllm_ros.training.epoch import train_epoch
from satllm_ros.training.ranks import Ranks
from satllm_ros.training.recipe import Recipe
from satllm_ros.training.split import TrainingSplit

STILL = Annealing(1.0, drawn=False)
SETTING = CodecSetting.parse("klt:24")
ARGUMENTS = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 2}


class Spy(LoopCodec):
    """Passes activations on, with a penalty and a buffer, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.penalized = nn.Parameter(torch.ones(()))
        self.register_buffer("seen", torch.zeros(()))
        self.observed: list[int] = []
        self.coded: list[tuple[int, int, list[float]]] = []

    def observe(self, cut: int, activation: Tensor) -> None:
        self.observed.append(cut)

    def forward(
        self, activation: Tensor, cut: int, keep: Tensor, annealing: Annealing, generator: np.random.Generator
    ) -> Tensor:
        self.coded.append((cut, len(activation), keep.tolist()))
        return activation

    def penalty(self) -> Tensor:
        return self.penalized.square()


class AsIfShared(Ranks):
    """One of several processes without the others: what it would average is noted, and stays."""

    averaged: list[list[Tensor]]

    def average(self, tensors: Any) -> None:
        self.averaged.append([tensor.clone() for tensor in tensors])


@pytest.fixture
def split() -> TrainingSplit:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (7, 3, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.arange(7) % 2
    return TrainingSplit(images, labels, images, labels, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "seven")


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Images as they are, so that gradients can be compared; a number drawn for each batch instead."""
    found: list[float] = []

    def plain(images: Tensor, generator: np.random.Generator) -> Tensor:
        found.append(generator.random())
        return images.float() / 255

    monkeypatch.setattr(epoch_module, "augment", plain)
    monkeypatch.setattr(epoch_module, "mix", lambda images, targets, alpha, generator: (images, targets))
    return found


def fresh_model() -> nn.Module:
    torch.manual_seed(0)
    return build("vit_tiny_patch16_224", ARGUMENTS)


def run_epoch(split: TrainingSplit, ranks: Ranks = Ranks(), codec: LoopCodec | None = None) -> torch.optim.Optimizer:  # noqa: B008
    recipe, model = Recipe(arguments=ARGUMENTS, batch_size=7, epochs=1), fresh_model()
    optimizer = begin_optimizer(recipe, model, codec)
    train_epoch(model, optimizer, split, recipe, 0, lambda images, loss: None, codec, ranks)
    return optimizer


def test_every_image_arrives_as_its_own_cuts_would_have_it() -> None:
    model, artefacts = load_model(asset(DEMO_CHECKPOINT)), load_artefacts(asset(DEMO_ARTEFACTS))
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    cuts_of = ((), (4,), (2, 4, 11))
    draw = Draw(torch.zeros(3, 11, dtype=torch.bool), torch.full((3,), 0.2))
    for image, cuts in enumerate(cuts_of):
        draw.cuts[image, [cut - 1 for cut in cuts]] = True
    with torch.inference_mode():
        found = run_cascade(model, images, FrameCodec(SETTING, artefacts), draw, STILL, np.random.default_rng(0))
        for image, cuts in enumerate(cuts_of):
            values = model._pos_embed(model.patch_embed(images[image : image + 1]))
            for number, block in enumerate(model.blocks, start=1):
                values = block(values)
                if number in cuts:
                    frame = encode(values.numpy(), SETTING, artefacts, number)
                    values = torch.from_numpy(decode(frame, artefacts, max_elements=values.numel()).activation)
            assert torch.allclose(found[image], model.forward_head(model.norm(values))[0], atol=1e-3)
        assert (found - model(images))[1:].abs().amax(dim=1).min() > 0.01


def test_a_cut_codes_the_images_that_are_cut_there_and_sees_all_of_them() -> None:
    model, codec = fresh_model(), Spy()
    draw = Draw(torch.tensor([[True, False], [True, False], [False, False]]), torch.tensor([0.1, 0.2, 0.3]))
    for training, observed in ((True, [1, 2]), (False, [])):
        model.train(training)
        codec.observed, codec.coded = [], []
        run_cascade(model, torch.randn(3, 3, 16, 16), codec, draw, STILL, np.random.default_rng(0))
        assert codec.observed == observed
        assert codec.coded == [(1, 2, pytest.approx([0.1, 0.2]))]


def test_the_gradient_passes_a_frame_unchanged() -> None:
    codec = FrameCodec(SETTING, load_artefacts(asset(DEMO_ARTEFACTS)))
    values = torch.randn(2, 65, 192, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    weights = torch.randn(2, 65, 192, generator=torch.Generator().manual_seed(1))
    (codec(values, 3, torch.ones(2), STILL, np.random.default_rng(0)) * weights).sum().backward()
    assert torch.equal(values.grad, weights)


def test_the_penalty_is_learned_from_and_logits_have_a_rate_of_their_own(split: TrainingSplit) -> None:
    codec = Spy()
    optimizer = run_epoch(split, codec=codec)
    assert codec.penalized.item() < 1
    rates = {group.get("gain", 1): group["lr"] for group in optimizer.param_groups}
    assert rates.keys() == {1, 60} and rates[60] == pytest.approx(60 * rates[1])


def test_uneven_shares_make_the_gradient_of_the_whole_batch(split: TrainingSplit, draws: list[float]) -> None:
    def gradients(ranks: AsIfShared) -> list[Tensor]:
        object.__setattr__(ranks, "averaged", [])
        run_epoch(split, ranks)
        return ranks.averaged[0]

    whole = gradients(AsIfShared(0, 1))
    first, second = gradients(AsIfShared(0, 2)), gradients(AsIfShared(1, 2))
    assert len(whole) == len(list(fresh_model().parameters()))
    for expected, *parts in zip(whole, first, second, strict=True):
        assert torch.allclose((parts[0] + parts[1]) / 2, expected, atol=2e-3)
    assert draws[0] == draws[1] != draws[2]


def test_processes_agree_on_what_their_codecs_have_seen(split: TrainingSplit) -> None:
    codec, ranks = Spy(), AsIfShared(0, 2)
    object.__setattr__(ranks, "averaged", [])
    codec.seen.fill_(7)
    run_epoch(split, ranks, codec)
    assert [[7.0]] == [[float(t) for t in tensors] for tensors in ranks.averaged[1:2]]
