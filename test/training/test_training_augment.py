import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from satllm_ros.training import augment as module
from satllm_ros.training.augment import augment, mix


@pytest.fixture
def symmetries_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHIFT_SHARE", "_CONTRAST", "_CHANNEL_GAIN"):
        monkeypatch.setattr(module, name, 0)


def symmetries(image: np.ndarray) -> list[bytes]:
    """The eight rotations and reflections of an image (C, H, W)."""
    turned = [np.rot90(image, k, axes=(1, 2)) for k in range(4)]
    return [np.ascontiguousarray(x).tobytes() for t in turned for x in (t, t[:, :, ::-1])]


@pytest.mark.usefixtures("symmetries_only")
def test_the_eight_symmetries_of_a_square_are_all_drawn_and_nothing_else() -> None:
    image = torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4)
    augmented = augment(image.expand(400, -1, -1, -1), np.random.default_rng(0))
    drawn = [(x * 255).round().to(torch.uint8).numpy().tobytes() for x in augmented]
    expected = symmetries(image.numpy())
    assert set(drawn) == set(expected)
    assert min(drawn.count(x) for x in expected) > 20


@pytest.mark.usefixtures("symmetries_only")
def test_an_image_that_is_not_square_keeps_its_shape() -> None:
    image = torch.arange(24, dtype=torch.uint8).reshape(1, 4, 6)
    augmented = augment(image.expand(50, -1, -1, -1), np.random.default_rng(0))
    assert augmented.shape == (50, 1, 4, 6)
    assert len({x.numpy().tobytes() for x in augmented}) == 4


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), height=st.integers(1, 20), width=st.integers(1, 20))
def test_results_are_in_range_seeded_and_leave_the_input_alone(seed: int, height: int, width: int) -> None:
    images = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (5, 3, height, width), dtype=np.uint8))
    before = images.clone()
    first = augment(images, np.random.default_rng(seed))
    assert first.shape == images.shape and first.dtype == torch.float32
    assert 0 <= float(first.min()) and float(first.max()) <= 1
    assert torch.equal(first, augment(images, np.random.default_rng(seed)))
    assert torch.equal(images, before)


def test_a_shift_mirrors_what_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CONTRAST", 0)
    monkeypatch.setattr(module, "_CHANNEL_GAIN", 0)
    ramp = torch.arange(16, dtype=torch.uint8).reshape(1, 1, 16).repeat(1, 16, 1)
    augmented = (augment(ramp.expand(64, -1, -1, -1), np.random.default_rng(3)) * 255).round()
    profiles = {tuple((x[0, 0] if len(x[0, 0].unique()) > 1 else x[0, :, 0]).int().tolist()) for x in augmented}
    shifts = [[abs(i + by) if i + by < 16 else 30 - i - by for i in range(16)] for by in (-2, -1, 0, 1, 2)]
    assert profiles == {tuple(line) for shift in shifts for line in (shift, shift[::-1])}


def test_mixup_mixes_images_and_targets_by_the_same_share() -> None:
    images = torch.eye(6).reshape(6, 6, 1, 1)
    mixed, targets = mix(images, torch.eye(6), 0.5, np.random.default_rng(1))
    assert torch.equal(mixed.reshape(6, 6), targets)
    assert torch.allclose(targets.sum(dim=1), torch.ones(6))
    assert 0 < float(targets[targets > 0].min()) < 0.5
