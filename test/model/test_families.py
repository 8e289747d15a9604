"""Models that cannot be split are refused by name."""

from typing import Any

import pytest

from satllm_ros.model.errors import ModelError
from satllm_ros.model.families import FAMILIES, check_family
from satllm_ros.model.structure import build, build_meta, measure_geometry


@pytest.mark.parametrize(
    "architecture",
    [
        "resnet50",
        "swin_tiny_patch4_window7_224",
        "convnext_tiny",
        "tiny_vit_5m_224",
        "hf-hub:someone/vit_tiny",
        "",
    ],
)
def test_other_families_are_refused_with_the_list(architecture: str) -> None:
    with pytest.raises(ModelError) as refusal:
        check_family(architecture)
    assert repr(architecture) in str(refusal.value)
    assert all(family in str(refusal.value) for family in FAMILIES)


@pytest.mark.parametrize(
    ("architecture", "arguments", "words"),
    [
        ("vit_imaginary_patch16_224", {}, "has no model 'vit_imaginary_patch16_224'"),
        ("vit_tiny_patch16_224", {"wings": 2}, "cannot build 'vit_tiny_patch16_224'.*wings"),
        ("vit_tiny_patch16_224", {"pretrained": True}, "arguments pretrained are not allowed"),
        ("vit_tiny_patch16_224", {"checkpoint_path": "x.pth"}, "arguments checkpoint_path are not allowed"),
    ],
)
def test_what_timm_cannot_or_may_not_build(architecture: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build(architecture, arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"in_chans": 4}, "4 channels, expected 3"),
        ({"num_classes": 0}, "num_classes is 0"),
        ({"global_pool": ""}, "global_pool ''"),
        ({"img_size": 100, "dynamic_img_size": True, "dynamic_img_pad": True}, "whole number of patches"),
    ],
)
def test_models_that_are_no_image_classifiers(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        measure_geometry(build_meta("vit_tiny_patch16_224", {"depth": 1, **arguments}))
