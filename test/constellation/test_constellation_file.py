import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from constellation_documents import ABSENT, changed

from satllm_ros.constellation.file import Constellation, SourceConfig, link_rates, load_constellation
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.documents.section import DocumentError
from satllm_ros.interfaces import MAX_CREDITS
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.model.engines.choice import EngineRequest

Load = Callable[..., Constellation]


def test_the_shipped_constellation_loads(shipped_path: Path, shipped: dict[str, Any]) -> None:
    constellation = load_constellation(shipped_path)
    assert constellation.names == [satellite["name"] for satellite in shipped["satellites"]]
    assert [s.memory_bytes for s in constellation.satellites] == [int(s["memory_bytes"]) for s in shipped["satellites"]]
    assert [s.block_s for s in constellation.satellites] == [s["block_s"] for s in shipped["satellites"]]
    assert constellation.links["isl"].rate_bps == shipped["links"]["isl"]["rate_bps"]
    assert constellation.links["s2g"].propagation_s == shipped["links"]["s2g"]["propagation_s"]
    assert constellation.source == SourceConfig("bag", "demo")
    assert list(constellation.codecs) == shipped["codecs"]
    assert (constellation.emulate_compute, constellation.emulate_links) == (True, True)


@pytest.mark.parametrize(("written", "number"), [("1e9", 1e9), ("2.5e8", 2.5e8), ("1000000000", 1e9), ("1.0e+9", 1e9)])
def test_a_number_may_be_written_in_every_way(written: str, number: float, shipped_path: Path, tmp_path: Path) -> None:
    text = shipped_path.read_text()
    place = text.index("rate_bps: ") + len("rate_bps: ")
    end = min(text.index(sign, place) for sign in ",}\n")
    (tmp_path / "a.yaml").write_text(text[:place] + written + text[end:])
    assert load_constellation(tmp_path / "a.yaml").links["upload"].rate_bps == number


MALFORMED: list[tuple[str, tuple[str | int, ...], Any]] = [
    *(
        (key, (key,), ABSENT)
        for key in (
            "model",
            "source",
            "batch_tiles",
            "window_batches",
            "upload_encoding",
            "codecs",
            "accuracy_floor",
            "threads",
            "emulate",
            "satellites",
            "links",
        )
    ),
    ("model: checkpoint", ("model", "checkpoint"), ABSENT),
    ("model: checkpoint", ("model", "checkpoint"), 7),
    ("model: artefacts", ("model", "artefacts"), None),
    ("model: unknown field 'weights'", ("model", "weights"), "x"),
    ("model", ("model",), "demo"),
    ("source: kind", ("source", "kind"), "video"),
    ("source: path", ("source", "path"), ABSENT),
    ("source: path", ("source", "path"), ""),
    ("source: image_topic", ("source", "image_topic"), ["a"]),
    ("source: unknown field 'topic'", ("source", "topic"), "/image"),
    ("batch_tiles", ("batch_tiles",), 0),
    ("batch_tiles", ("batch_tiles",), 2.5),
    ("batch_tiles", ("batch_tiles",), "ten"),
    ("batch_tiles", ("batch_tiles",), True),
    ("window_batches", ("window_batches",), MAX_CREDITS + 1),
    ("upload_encoding", ("upload_encoding",), "png"),
    ("codecs", ("codecs",), []),
    ("codecs", ("codecs",), "int8"),
    ("codecs", ("codecs",), [8]),
    ("accuracy_floor", ("accuracy_floor",), 1.1),
    ("accuracy_floor", ("accuracy_floor",), math.nan),
    ("threads", ("threads",), 0),
    ("emulate: compute", ("emulate", "compute"), "yes please"),
    ("emulate: links", ("emulate", "links"), 1),
    ("emulate: unknown field 'ground'", ("emulate", "ground"), True),
    ("satellites", ("satellites",), []),
    ("satellites", ("satellites",), {"sat1": {}}),
    ("satellites[1]", ("satellites", 1), "sat2"),
    ("satellites[1]: name", ("satellites", 1, "name"), ABSENT),
    ("satellites[1].name", ("satellites", 1, "name"), "ground"),
    ("satellites[1].name", ("satellites", 1, "name"), "2nd"),
    ("satellites[1].name", ("satellites", 1, "name"), "sat/2"),
    ("satellites[1].name", ("satellites", 1, "name"), "sat2\n"),
    ("same name twice", ("satellites", 1, "name"), "sat1"),
    ("satellites[0]: memory_bytes", ("satellites", 0, "memory_bytes"), 0),
    ("satellites[0]: memory_bytes", ("satellites", 0, "memory_bytes"), "8 GB"),
    ("satellites[0]: memory_bytes", ("satellites", 0, "memory_bytes"), 10**400),
    ("satellites[3]: block_s", ("satellites", 3, "block_s"), -0.1),
    ("satellites[3]: block_s", ("satellites", 3, "block_s"), math.inf),
    ("satellites[2]: unknown field 'speed'", ("satellites", 2, "speed"), 1),
    ("links: isl", ("links", "isl"), ABSENT),
    ("links: isl: rate_bps", ("links", "isl", "rate_bps"), 0),
    ("links: s2g: propagation_s", ("links", "s2g", "propagation_s"), ABSENT),
    ("links: upload: unknown field 'rate_mbps'", ("links", "upload", "rate_mbps"), 2),
    ("links: unknown field 'ils'", ("links", "ils"), {"rate_bps": 1.0, "propagation_s": 0.0}),
    ("links: pairs", ("links", "pairs"), ["sat1-sat2"]),
    *(
        (f"links: pairs: {name!r} is no directed link; allowed are sender-receiver", ("links", "pairs"), {name: {}})
        for name in ("sat1", "sat1-sat9", "sat1-sat1", "ground-sat1", "sat1-sensing", "sensing-ground", "-sat1", 7)
    ),
    ("links: pairs: sat1-sat2 is", ("links", "pairs"), {"sat1-sat2": 8e6}),
    ("links: pairs: sat1-sat2: rate_bps is 0", ("links", "pairs"), {"sat1-sat2": {"rate_bps": 0, "propagation_s": 0}}),
    ("links: pairs: sat1-sat2: propagation_s is missing", ("links", "pairs"), {"sat1-sat2": {"rate_bps": 1}}),
    (
        "links: pairs: sat1-sat2: unknown field 'rate'",
        ("links", "pairs"),
        {"sat1-sat2": {"rate_bps": 1, "propagation_s": 0, "rate": 1}},
    ),
    ("source: rate", ("source", "rate"), -1),
    ("source: rate", ("source", "rate"), "fast"),
    ("source: recursive", ("source", "recursive"), "yes"),
    ("source: recursive", ("source", "recursive"), 1),
    ("source: bands is (4, 3); one or three numbers", ("source", "bands"), [4, 3]),
    ("source: bands is '4,3,2'", ("source", "bands"), "4,3,2"),
    ("source: bands is (4, 3, 0)", ("source", "bands"), [4, 3, 0]),
    ("source: pixel_scale is -0.5; a finite number above 0", ("source", "pixel_scale"), -0.5),
    ("source: pixel_scale is 'auto'", ("source", "pixel_scale"), "auto"),
    ("source: pixel_scale is nan", ("source", "pixel_scale"), math.nan),
    ("source: resize is 64.5; a whole number", ("source", "resize"), 64.5),
    ("source: resize is 0", ("source", "resize"), 0),
    ("source: unknown field 'pixelscale'", ("source", "pixelscale"), 1.0),
    ("durable_custody", ("durable_custody",), "yes please"),
    ("signing", ("signing",), "key"),
    ("signing: public_key", ("signing",), {"public_key": 12}),
    ("signing: unknown field 'key'", ("signing",), {"key": "x"}),
    ("model: calibration", ("model", "calibration"), ["x"]),
    ("model: bundle", ("model", "bundle"), 1),
    ("engine is str", ("engine",), "onnx"),
    ("engine: kind is 3", ("engine",), {"kind": 3}),
    ("engine: unknown field 'threads'", ("engine",), {"threads": 3}),
    (
        "engine: there is no engine of kind tensorrt; those that there are: torch on cpu",
        ("engine",),
        {"kind": "tensorrt"},
    ),
    (
        "engine: there is no engine of kind onnx, device cpu, precision bfloat16",
        ("engine",),
        {"kind": "onnx", "device": "cpu", "precision": "bfloat16"},
    ),
    ("satellites[1]: engine: there is no engine of device cuda", ("satellites", 1, "engine"), {"device": "cuda"}),
    (
        "satellites[0]: engine is there, but with external",
        ("satellites", 0),
        {"name": "sat1", "memory_bytes": 1, "block_s": 0.1, "external": True, "engine": {"kind": "onnx"}},
    ),
    ("satellites[1]: profile", ("satellites", 1, "profile"), 3),
    (
        "satellites[0]: profile is 'p.yaml', but with external",
        ("satellites", 0),
        {"name": "sat1", "memory_bytes": 1, "block_s": 1, "external": True, "profile": "p.yaml"},
    ),
    ("unknown field 'batchtiles'", ("batchtiles",), 5),
]


@pytest.mark.parametrize(("named", "path", "value"), MALFORMED, ids=lambda x: str(x)[:40])
def test_a_malformed_file_is_refused_naming_the_field(
    shipped: dict[str, Any], load: Load, named: str, path: tuple[str | int, ...], value: Any
) -> None:
    with pytest.raises(DocumentError) as refusal:
        load(changed(shipped, *path, value=value))
    assert "mine.yaml" in str(refusal.value)
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "5"])
def test_a_file_that_is_no_mapping_is_refused(load: Load, text: str) -> None:
    with pytest.raises(DocumentError, match=r"mine\.yaml is \w+; a mapping is needed"):
        load(text)


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe\x00", b"a: !!python/object:os.system {}"])
def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match="mine.yaml is not YAML") as refusal:
        load_constellation(path)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.yaml"):
        load_constellation(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    "path",
    [("source", "path"), ("source", "image_topic")],
)
def test_a_camera_needs_no_path(shipped: dict[str, Any], load: Load, path: tuple[str, str]) -> None:
    document = changed(shipped, "source", value={"kind": "topic"})
    assert load(document).source == SourceConfig("topic")
    with pytest.raises(DocumentError, match=path[1]):
        load(changed(document, *path, value=3))


@pytest.mark.parametrize("own", [{"kind": "bag", "path": "mine"}, {"kind": "topic"}, {"kind": "folder"}])
def test_another_source_takes_the_place_of_the_files_own(
    shipped: dict[str, Any], load: Load, own: dict[str, str]
) -> None:
    chosen = SourceConfig("bag", "/data/other", "/left/image")
    assert load(changed(shipped, "source", value=own), source=chosen).source == chosen


def test_what_is_stated_of_pixels_holds_for_another_source_too(shipped: dict[str, Any], load: Load) -> None:
    stated = {"bands": [4, 3, 2], "pixel_scale": 0.0255, "resize": 64}
    document = changed(shipped, "source", value={"kind": "bag", "path": "mine", **stated})
    rules = PixelRules((4, 3, 2), 0.0255, 64)
    assert load(document).source == SourceConfig("bag", "mine", pixels=rules)
    assert load(document, source=SourceConfig("folder", "other")).source == SourceConfig(
        "folder", "other", pixels=rules
    )


def test_the_files_own_source_is_checked_even_when_replaced(shipped: dict[str, Any], load: Load) -> None:
    with pytest.raises(DocumentError, match="source: kind"):
        load(changed(shipped, "source", "kind", value="video"), source=SourceConfig("topic"))


def test_the_widest_window_is_what_the_topics_can_hold(shipped: dict[str, Any], load: Load) -> None:
    assert load(changed(shipped, "window_batches", value=MAX_CREDITS)).window_batches == MAX_CREDITS


def test_a_file_without_the_optional_fields_flies_as_ever(shipped: dict[str, Any], load: Load) -> None:
    constellation = load(shipped)
    assert (constellation.public_key, constellation.private_key) == ("", "")
    assert constellation.durable_custody is False and constellation.source.rate == 0.0
    assert constellation.profiles == [] and constellation.calibration == ""


def test_optional_fields_are_read(shipped: dict[str, Any], load: Load) -> None:
    document = changed(shipped, "signing", value={"public_key": "ab" * 32, "private_key": "keys/plan.pem"})
    document = changed(changed(document, "durable_custody", value=True), "source", "rate", value=1)
    document = changed(changed(document, "satellites", 2, "profile", value="p.yaml"), "model", "calibration", value="c")
    constellation = load(document)
    assert constellation.profiles == ["sat3=p.yaml"] and constellation.calibration == "c"
    assert (constellation.public_key, constellation.private_key) == ("ab" * 32, "keys/plan.pem")
    assert constellation.durable_custody is True and constellation.source.rate == 1.0


def test_a_satellites_engine_is_its_own_or_that_of_all(shipped: dict[str, Any], load: Load) -> None:
    assert {satellite.engine for satellite in load(shipped).satellites} == {EngineRequest()}
    document = changed(shipped, "engine", value={"kind": "onnx", "precision": "float32"})
    document = changed(
        changed(document, "satellites", 1, "engine", value={"kind": "torch"}), "model", "bundle", value="b"
    )
    constellation = load(document)
    assert constellation.bundle == "b"
    kinds = [satellite.engine.kind for satellite in constellation.satellites]
    assert kinds == ["onnx", "torch", "onnx", "onnx"]
    assert {satellite.engine.precision for satellite in constellation.satellites} == {"float32"}


@pytest.mark.parametrize(
    ("path", "meant"),
    [(("batch_tile",), "batch_tiles"), (("durable_custdy",), "durable_custody"), (("source", "rates"), "rate")],
)
def test_an_unknown_field_that_is_nearly_one_gets_a_hint(
    shipped: dict[str, Any], load: Load, path: tuple[str, ...], meant: str
) -> None:
    with pytest.raises(DocumentError, match=f"unknown field '{path[-1]}'; did you mean {meant}[?]"):
        load(changed(shipped, *path, value=1))


def test_a_directed_link_has_rates_of_its_own_or_those_of_its_kind(shipped: dict[str, Any], load: Load) -> None:
    pairs = {
        "sat1-sat2": {"rate_bps": "8e6", "propagation_s": 0.01},
        "sensing-sat2": {"rate_bps": 3, "propagation_s": 0},
        "sat4-ground": {"rate_bps": 5, "propagation_s": 1},
    }
    kinds = {
        kind: {"rate_bps": rate, "propagation_s": 0.5} for kind, rate in (("upload", 10), ("isl", 20), ("s2g", 30))
    }
    constellation = load(changed(shipped, "links", value=kinds | {"pairs": pairs}))
    told = {
        ("sat1", "sat2"): LinkRates(8e6, 0.01),
        ("sat2", "sat1"): LinkRates(20.0, 0.5),
        ("sensing", "sat2"): LinkRates(3.0, 0.0),
        ("sensing", "sat1"): LinkRates(10.0, 0.5),
        ("sat4", "ground"): LinkRates(5.0, 1.0),
        ("sat1", "ground"): LinkRates(30.0, 0.5),
    }
    assert {pair: link_rates(constellation, *pair) for pair in told} == told
