"""What is stated for a flight, beside what the checkpoint was trained with."""

from dataclasses import replace

import pytest
from prior_facts import SPEC

from satllm_ros.acquisition.flight_pixels import pixels_in_flight
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules, PixelRulesError

# 8x8 pixels, as the test's model takes.
SIDE = SPEC.image_height


def test_nothing_stated_is_as_declared() -> None:
    assert pixels_in_flight(AS_DECLARED, SPEC) == AS_DECLARED


def test_bands_and_scale_are_the_checkpoints_and_large_frames_are_still_tiled() -> None:
    trained = replace(SPEC, pixels=PixelRules((4, 3, 2), 0.0255, SIDE))
    assert pixels_in_flight(AS_DECLARED, trained) == PixelRules((4, 3, 2), 0.0255)
    assert pixels_in_flight(PixelRules(resize=SIDE), trained) == trained.pixels


def test_a_model_that_says_nothing_flies_what_is_stated() -> None:
    assert pixels_in_flight(PixelRules((1,), 0.5, SIDE), SPEC) == PixelRules((1,), 0.5, SIDE)


def test_contradictions_and_other_sizes_are_refused() -> None:
    trained = replace(SPEC, pixels=PixelRules(pixel_scale=0.0255))
    with pytest.raises(PixelRulesError, match="pixel_scale 0.5 is stated, but the checkpoint was trained with"):
        pixels_in_flight(PixelRules(pixel_scale=0.5), trained)
    with pytest.raises(PixelRulesError, match=f"resize is {SIDE + 1}, but the model takes {SIDE}x{SIDE} pixels"):
        pixels_in_flight(PixelRules(resize=SIDE + 1), SPEC)
