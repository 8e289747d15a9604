import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.data.images.decoding import ImageError
from satllm_ros.data.labelled.dataset import DatasetError
from satllm_ros.data.labelled.datasets import held_out, held_out_part, load_dataset, split_names


@pytest.mark.parametrize("source", ["class_folders", "parquet_file"])
def test_each_split_has_its_own_images_labels_and_bytes(
    source: str, class_folders: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(source)
    assert split_names(path) == ("test", "train")
    for split, count in (("train", 18), ("test", 9), ("all", 27)):
        dataset = load_dataset(path, split)
        assert len(dataset) == len(set(dataset.filenames)) == count or split == "all"
        assert dataset.classes == ("Field", "Forest", "Lake")
        assert np.bincount(dataset.labels).tolist() == [count // 3] * 3
        assert dataset.stack(np.arange(count)).shape == (count, 8, 8, 3)
    test = load_dataset(path, "test")
    index = next(i for i, name in enumerate(test.filenames) if name.endswith("Forest_1.jpg"))
    assert test.jpeg(index) == (class_folders / "test/Forest/Forest_1.jpg").read_bytes()
    assert test.classes[test.labels[index]] == "Forest"
    assert test.image(index).dtype == np.uint8


@pytest.mark.parametrize("source", ["class_folders", "parquet_file"])
def test_an_unknown_split_is_refused_with_the_known_ones(source: str, request: pytest.FixtureRequest) -> None:
    with pytest.raises(DatasetError, match="no split 'val'; allowed are test, train, all"):
        load_dataset(request.getfixturevalue(source), "val")


def test_a_class_without_images_in_a_split_keeps_its_number(class_folders: Path) -> None:
    for file in (class_folders / "test" / "Field").iterdir():
        file.unlink()
    (class_folders / "test" / "Field").rmdir()
    dataset = load_dataset(class_folders, "test")
    assert dataset.classes == ("Field", "Forest", "Lake")
    assert set(dataset.labels.tolist()) == {1, 2}


def test_class_folders_without_splits_are_one_split_named_all(class_folders: Path) -> None:
    path = class_folders / "train"
    assert split_names(path) == ()
    assert len(load_dataset(path, "all")) == 18
    with pytest.raises(DatasetError, match="is not split"):
        load_dataset(path, "train")


def test_an_empty_class_folder_is_named(class_folders: Path) -> None:
    (class_folders / "train" / "Desert").mkdir()
    with pytest.raises(DatasetError, match=r"Desert holds no image; allowed are \.jpg"):
        load_dataset(class_folders, "train")


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no class folders"):
        load_dataset(tmp_path, "all")


def test_missing_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        load_dataset(tmp_path / "nothing", "train")


def test_missing_columns_are_named(tmp_path: Path, parquet_table: pa.Table) -> None:
    pq.write_table(parquet_table.drop_columns(["split", "image"]), tmp_path / "short.parquet")
    with pytest.raises(DatasetError, match="lacks the columns split, image"):
        load_dataset(tmp_path / "short.parquet", "train")


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("not a table")
    with pytest.raises(DatasetError, match="not a Parquet file"):
        load_dataset(tmp_path / "text.parquet", "train")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("label", [5] * 27, "must count from 0"),
        ("class_name", ["Field", "Forest", "Lake"] * 9, "one name each"),
        ("split", [None] * 27, "column split .* empty cells"),
        ("image", [None] * 27, "without an image"),
    ],
)
def test_inconsistent_columns_are_refused(
    column: str, values: list[object], message: str, tmp_path: Path, parquet_table: pa.Table
) -> None:
    field = parquet_table.schema.field(column)
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    table = parquet_table.set_column(parquet_table.schema.get_field_index(column), column, pa.array(values, kind))
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(DatasetError, match=message):
        load_dataset(tmp_path / "odd.parquet", "train")


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("image", [{"bytes": b"", "path": ""}] * 27, "struct<bytes: binary, path: string>"),
        ("split", [0] * 27, "int64"),
        ("label", ["Field"] * 27, "string"),
    ],
)
def test_columns_of_other_types_are_named(
    column: str, values: list[object], kind: str, tmp_path: Path, parquet_table: pa.Table
) -> None:
    table = parquet_table.set_column(parquet_table.schema.get_field_index(column), column, pa.array(values))
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(DatasetError, match=f"columns of other types: {column} is {kind}; labels are integers"):
        load_dataset(tmp_path / "odd.parquet", "train")


def test_without_pyarrow_the_remedy_is_named(parquet_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatasetError, match="pip install pyarrow"):
        load_dataset(parquet_file, "train")


def test_an_unreadable_image_is_named(class_folders: Path) -> None:
    file = class_folders / "test" / "Lake" / "Lake_2.jpg"
    file.write_bytes(file.read_bytes()[:-40])
    dataset = load_dataset(class_folders, "test")
    with pytest.raises(ImageError, match="Lake_2.jpg"):
        dataset.stack(np.arange(len(dataset)))


def test_an_image_of_another_size_is_named(class_folders: Path, encode_image: Callable[..., bytes]) -> None:
    (class_folders / "test" / "Lake" / "Lake_2.jpg").write_bytes(encode_image(size=9))
    dataset = load_dataset(class_folders, "test")
    with pytest.raises(DatasetError, match="Lake_2.jpg is 9x9, .*Field_0.jpg is 8x8"):
        dataset.stack(np.arange(len(dataset)))


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_held_out_gives_every_class_its_share(sizes: list[int], share: float, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    count = max(1, int(share * len(labels)))
    if count >= len(labels):
        return
    chosen = held_out(labels, count, seed)
    assert len(np.unique(chosen)) == len(chosen) == count
    assert np.all(np.diff(chosen) > 0)
    taken = np.bincount(labels[chosen], minlength=len(sizes))
    assert np.all(np.abs(taken - count * np.array(sizes) / len(labels)) < 1)
    assert np.array_equal(chosen, held_out(labels, count, seed))


def test_the_held_out_part_is_at_most_a_fifth_of_few_images() -> None:
    assert [len(held_out_part(np.zeros(size, dtype=int))) for size in (5, 27, 9_999, 10_000, 50_000)] == [
        *(1, 5, 1999, 2000, 2000)
    ]
    with pytest.raises(DatasetError, match="4 training images are too few; at least 5 are needed"):
        held_out_part(np.zeros(4, dtype=int))


def test_held_out_depends_on_the_seed_and_refuses_to_leave_nothing() -> None:
    labels = np.arange(100) % 4
    assert not np.array_equal(held_out(labels, 20, 0), held_out(labels, 20, 1))
    for count in (0, 100):
        with pytest.raises(DatasetError, match=f"cannot hold out {count} of 100"):
            held_out(labels, count)
