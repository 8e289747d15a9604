"""What is stated about pixels: read, checked, written and compared."""

import argparse
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.cli.pixel_arguments import add_pixel_arguments, pixel_rules
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules, PixelRulesError, parse_bands

bands = st.none() | st.tuples(st.integers(1, 13)) | st.tuples(*[st.integers(1, 13)] * 3)
scales = st.none() | st.floats(1e-9, 1e9) | st.integers(1, 10)
rules = st.builds(PixelRules, bands, scales, st.none() | st.integers(1, 1024))


@given(rules)
def test_rules_come_back_from_their_text(stated: PixelRules) -> None:
    assert PixelRules.from_text(stated.to_text()) == stated


def test_nothing_stated_is_an_empty_object() -> None:
    assert AS_DECLARED.to_text() == "{}" and str(AS_DECLARED) == "nothing stated"
    assert str(PixelRules((4, 3, 2), 0.0255, 64)) == "bands 4,3,2, pixel_scale 0.0255, resize 64"


def test_resizing_is_recorded_with_how_it_is_done() -> None:
    assert PixelRules(resize=64).to_json() == {"resize": 64, "resampling": "bicubic"}
    with pytest.raises(PixelRulesError, match="resampled by 'lanczos'; bicubic is known"):
        PixelRules.from_json({"resize": 64, "resampling": "lanczos"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("bands", value) for value in [(), (1, 2), (0,), (1, 2, -3), (1, 2, 3, 4), "4,3,2", [1], (1.0,), (True,)]),
        *(("pixel_scale", value) for value in [0, 0.0, -1, float("nan"), float("inf"), "1", True, (1.0,)]),
        *(("resize", value) for value in [0, -64, 64.0, "64", True, 16385]),
    ],
)
def test_what_is_not_allowed_is_named(field: str, value: object) -> None:
    with pytest.raises(PixelRulesError, match=f"^{field} is .* needed$"):
        PixelRules(**{field: value})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.text() | st.sampled_from(["bands", "pixel_scale", "resize", "resampling"]), x)
        ),
    )
)
def test_any_other_text_is_refused(value: object) -> None:
    for text in (json.dumps(value), str(value)):
        try:
            found = PixelRules.from_text(text)
        except PixelRulesError:
            continue
        assert isinstance(found, PixelRules)


@pytest.mark.parametrize(
    ("text", "expected"), [("", None), (" ", None), ("4,3,2", (4, 3, 2)), (" 1 ", (1,)), ("1, 2, 3", (1, 2, 3))]
)
def test_bands_are_read_from_text(text: str, expected: tuple[int, ...] | None) -> None:
    assert parse_bands(text) == expected


@pytest.mark.parametrize("text", ["4;3;2", "a", "1,2", "0", "4,3,2,", "1.0"])
def test_other_texts_of_bands_are_named(text: str) -> None:
    with pytest.raises(PixelRulesError, match="bands is"):
        parse_bands(text)


def test_what_a_model_was_trained_with_fills_what_is_not_stated() -> None:
    recorded = PixelRules((4, 3, 2), 0.0255, 64)
    assert AS_DECLARED.agreed_with(recorded, "the model") == recorded
    assert PixelRules(pixel_scale=0.0255).agreed_with(recorded, "the model") == recorded
    assert PixelRules(pixel_scale=2).agreed_with(PixelRules((1,)), "the model") == PixelRules((1,), 2)


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        (PixelRules(bands=(3, 2, 1)), "bands 3,2,1 is stated, but the model was trained with bands 4,3,2"),
        (PixelRules(pixel_scale=0.03), "pixel_scale 0.03 is stated, but the model was trained with pixel_scale 0.0255"),
        (PixelRules(resize=32), "resize 32 is stated, but the model was trained with resize 64"),
    ],
)
def test_contradictions_are_refused(stated: PixelRules, sentence: str) -> None:
    with pytest.raises(PixelRulesError, match=sentence):
        stated.agreed_with(PixelRules((4, 3, 2), 0.0255, 64), "the model")


def test_arguments_of_commands_are_rules() -> None:
    parser = argparse.ArgumentParser()
    add_pixel_arguments(parser)
    assert pixel_rules(parser.parse_args([])) == AS_DECLARED
    given_all = parser.parse_args(["--bands", "4,3,2", "--pixel-scale", "0.5", "--resize", "64"])
    assert pixel_rules(given_all) == PixelRules((4, 3, 2), 0.5, 64)
