from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.training.evaluation.accuracy import (
    Accuracy,
    class_accuracies,
    read_accuracies,
    wilson_interval,
    write_accuracies,
)


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_published_intervals(correct: int, images: int, low: float, high: float) -> None:
    assert wilson_interval(correct, images) == pytest.approx((low, high), abs=5e-5)


@given(images=st.integers(0, 10**6), share=st.floats(0, 1))
def test_the_interval_holds_the_share_within_bounds(images: int, share: float) -> None:
    correct = int(share * images)
    low, high = wilson_interval(correct, images)
    assert 0 <= low < high <= 1
    if images:
        assert low - 1e-12 <= correct / images <= high + 1e-12
        mirrored = wilson_interval(images - correct, images)
        assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-9)


def test_classes_are_counted_by_their_true_label(tmp_path: Path) -> None:
    rows = class_accuracies(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), ("land", "sea", "ice"))
    assert rows == [
        Accuracy("land", 1, 2),
        Accuracy("sea", 2, 3),
        Accuracy("ice", 0, 0),
        Accuracy("all", 3, 5),
    ]
    write_accuracies(tmp_path / "test.csv", rows)
    assert read_accuracies(tmp_path / "test.csv") == rows
    assert str(rows[-1]) == "all: 60.0 % (3 of 5; 95 % interval 23.1-88.2)"
