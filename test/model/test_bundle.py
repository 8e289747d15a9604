"""What a bundle is checked for, and which engine is taken."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_models import save_member

from satllm_ros.cli import main as cli
from satllm_ros.model.engines import choice
from satllm_ros.model.engines.bundle import MANIFEST, bundle_of, read_manifest
from satllm_ros.model.engines.choice import COMBINATIONS, EngineRequest, choose_engine
from satllm_ros.model.engines.engine import Engine
from satllm_ros.model.engines.onnx_engine import OnnxEngine
from satllm_ros.model.errors import ModelError
from satllm_ros.model.export.write import export_bundle
from satllm_ros.model.spec import ModelSpec, read_spec

PARTS = ["embed", "block_001", "block_002", "block_003", "head"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with its bundle beside it."""
    path = save_member(tmp_path_factory.mktemp("bundled"), "vit")
    export_bundle(path, read_spec(path), bundle_of(path), lambda: None)
    return path


@pytest.fixture(scope="module")
def spec(checkpoint: Path) -> ModelSpec:
    return read_spec(checkpoint)


@pytest.fixture
def bundle(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to do harm to."""
    return Path(shutil.copytree(bundle_of(checkpoint), tmp_path / "bundle"))


def load_all(folder: Path, spec: ModelSpec) -> None:
    engine = OnnxEngine(folder, read_manifest(folder, spec), threads=1)
    engine.open()
    engine.load(0, spec.blocks)


def rewritten(folder: Path, spec: ModelSpec, **fields: object) -> None:
    """The manifest says something else, under a seal that fits."""
    manifest = replace(read_manifest(folder, spec), **fields)
    (folder / MANIFEST).write_text(manifest.to_text())


def test_a_bundle_is_a_graph_a_part_and_a_manifest(bundle: Path, spec: ModelSpec) -> None:
    assert {file.name for file in bundle.iterdir()} == {MANIFEST, *(f"{part}.onnx" for part in PARTS)}
    load_all(bundle, spec)


@pytest.mark.parametrize("name", [f"{part}.onnx" for part in PARTS])
def test_a_flipped_bit_or_a_missing_file_is_one_sentence_that_names_it(
    bundle: Path, spec: ModelSpec, name: str
) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{bundle / name}: its SHA-256 is .*, expected ") as refusal:
        load_all(bundle, spec)
    assert "\n" not in str(refusal.value)
    (bundle / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{bundle / name} is missing"):
        load_all(bundle, spec)


def test_every_flipped_bit_of_the_manifest_is_noticed(bundle: Path, spec: ModelSpec) -> None:
    path = bundle / MANIFEST
    content = path.read_bytes()
    places = range(0, len(content), 3)
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=str(path)) as refusal:
            read_manifest(bundle, spec)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model_id": "0123456789abcdef"}, "it is of model 0123456789abcdef, expected "),
        ({"opset": 99}, "its graphs are of opset 99, this software runs opset 17"),
        ({"precision": "float16"}, "its graphs compute in float16, this software runs float32"),
        ({"tokens": 99}, "it states other sizes than the checkpoint of model "),
        ({"parts": {}}, "it has not the parts of 3 blocks; too many or missing: block_001"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused(
    bundle: Path, spec: ModelSpec, fields: dict[str, object], sentence: str
) -> None:
    rewritten(bundle, spec, **fields)
    with pytest.raises(ModelError, match=f"{bundle / MANIFEST}: {sentence}"):
        read_manifest(bundle, spec)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": "other"}', b"\xff\xfe"])
def test_what_is_no_manifest_is_refused(bundle: Path, spec: ModelSpec, content: bytes) -> None:
    (bundle / MANIFEST).write_bytes(content)
    with pytest.raises(ModelError, match=str(bundle / MANIFEST)):
        read_manifest(bundle, spec)


def test_wrong_blocks_and_wrong_inputs_are_refused(bundle: Path, spec: ModelSpec) -> None:
    engine = OnnxEngine(bundle, read_manifest(bundle, spec), threads=1)
    with pytest.raises(ModelError, match=r"stage \(2, 9\] is no part of a model of 3 blocks"):
        engine.load(2, 9)
    with pytest.raises(ModelError, match=r"was given float64 of shape \(1, 17, 48\), expected float32"):
        engine.load(1, 2)(np.zeros((1, 17, 48)))
    with pytest.raises(ModelError, match=r"expected float32 of shape \(N, 3, 32, 32\)"):
        engine.load(0, 2)(np.zeros((1, 17, 48), np.float32))


def test_what_it_holds_is_what_the_parts_hold(bundle: Path, spec: ModelSpec) -> None:
    engine = OnnxEngine(bundle, read_manifest(bundle, spec), threads=1)
    assert sum(engine.layer_bytes) == engine.load(0, 3).memory_bytes
    assert engine.layer_bytes[1] == engine.load(1, 2).memory_bytes
    assert sum(engine.layer_bytes) == pytest.approx(sum(spec.layer_bytes), rel=0.05)


# Which one is taken


def chosen(checkpoint: Path, *words: str, bundle: Path | str = "") -> tuple[Engine, str]:
    return choose_engine(EngineRequest(*words), checkpoint, read_spec(checkpoint), bundle=bundle, threads=1)


def test_auto_takes_the_bundle_of_the_checkpoint(checkpoint: Path) -> None:
    engine, why = chosen(checkpoint)
    assert (str(engine.name), why) == (
        "onnx on cpu in float32",
        f"{bundle_of(checkpoint)} is a bundle of this model",
    )


def test_auto_takes_torch_without_a_bundle_that_fits_and_says_why(
    checkpoint: Path, spec: ModelSpec, bundle: Path, tmp_path: Path
) -> None:
    engine, why = chosen(checkpoint, bundle=tmp_path / "none")
    assert (engine.name.kind, why) == (
        "torch",
        f"{tmp_path / 'none'} is no bundle: it has no manifest.json; `satllm export` makes one",
    )
    rewritten(bundle, spec, model_id="0123456789abcdef")
    engine, why = chosen(checkpoint, bundle=bundle)
    assert engine.name.kind == "torch" and "it is of model 0123456789abcdef" in why


def test_auto_takes_torch_without_the_runtime(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    engine, why = chosen(checkpoint)
    assert (engine.name.kind, why) == ("torch", "onnxruntime is not installed")


def test_auto_keeps_to_the_precision_of_the_checkpoint(checkpoint: Path, spec: ModelSpec, bundle: Path) -> None:
    rewritten(bundle, spec, checkpoint_precision="bfloat16")
    assert chosen(checkpoint, bundle=bundle)[0].name.kind == "torch"
    assert chosen(checkpoint, "auto", "auto", "float32", bundle=bundle)[0].name.kind == "onnx"


def test_what_is_asked_for_is_taken_or_refused(checkpoint: Path, tmp_path: Path) -> None:
    assert chosen(checkpoint, "torch")[0].name.kind == "torch"
    assert chosen(checkpoint, "onnx", "cpu", "float32")[0].name.kind == "onnx"
    with pytest.raises(FileNotFoundError, match="is no bundle"):
        chosen(checkpoint, "onnx", bundle=tmp_path / "none")
    with pytest.raises(
        ModelError, match="is run by torch on cpu in float32, and kind torch, precision bfloat16 is asked for"
    ):
        chosen(checkpoint, "torch", "auto", "bfloat16")


@pytest.mark.parametrize(
    "words", [("onnx", "cpu", "bfloat16"), ("tensorrt",), ("torch", "cuda"), ("auto", "auto", "int8")]
)
def test_a_combination_that_there_is_not_is_refused_with_the_list(words: tuple[str, ...]) -> None:
    with pytest.raises(ModelError) as refusal:
        EngineRequest(*words)
    assert all(str(name) in str(refusal.value) for name in COMBINATIONS)


# `satllm export`


def test_the_command_writes_where_satellites_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_member(tmp_path, "vit")
    assert cli.main(["export", "--checkpoint", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bundle"] == f"{path}.onnx" and told["model_id"] == read_spec(path).model_id
    assert sorted(told["parts"]) == sorted(PARTS)
    # Again, in its place.
    assert cli.main(["export", "--checkpoint", str(path)]) == 0
    assert "as 5 graphs of opset 17 in float32" in capsys.readouterr().out
    assert chosen(path)[0].name.kind == "onnx"


def test_the_command_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_member(tmp_path, "vit")
    (tmp_path / "taken").mkdir()
    for words, sentence in (
        (["--checkpoint", str(tmp_path / "none")], f"checkpoint {tmp_path / 'none'} is not a file"),
        (["--checkpoint", str(path), "--out", str(tmp_path / "taken")], "is there and is no bundle"),
        (["--checkpoint", str(path), "--out", str(tmp_path / "no" / "b")], "there is no folder"),
    ):
        assert cli.main(["export", *words]) == 2
        said = capsys.readouterr().err
        assert sentence in said and said.count("\n") == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["taken", "vit.safetensors"]


def test_a_graph_that_computes_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satllm_ros.model.export.graphs._TOLERANCE", 1e-12)
    path = save_member(tmp_path, "vit")
    with pytest.raises(ModelError, match=f"{path}: .*: the exporter made a wrong graph of it"):
        export_bundle(path, read_spec(path), tmp_path / "bundle", lambda: None)
    assert not (tmp_path / "bundle").exists()
