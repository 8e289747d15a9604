"""What is stated about the pixels of a flight: by its constellation file, and by the checkpoint that flies."""

from __future__ import annotations

from satllm_ros.data.images.pixels import PixelRules, PixelRulesError
from satllm_ros.model.spec import ModelSpec


def pixels_in_flight(stated: PixelRules, spec: ModelSpec) -> PixelRules:
    """Rules by which frames are read.

    Bands and scale are those of the training where the file says nothing. Frames are only resized where it says so: a
    model that was trained on resized images still gets the tiles of a large frame as they are.

    Raises
    ------
    PixelRulesError
        If the checkpoint was trained otherwise, or frames would get a size that the model does not take.
    """
    agreed = stated.agreed_with(spec.pixels, "the checkpoint")
    rules = PixelRules(agreed.bands, agreed.pixel_scale, stated.resize)
    if rules.resize is not None and (spec.image_height, spec.image_width) != (rules.resize, rules.resize):
        raise PixelRulesError(
            f"resize is {rules.resize}, but the model takes {spec.image_width}x{spec.image_height} pixels; "
            "state its size, if it is square, or leave it out"
        )
    return rules
