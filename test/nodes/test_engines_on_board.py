"""The real process of a satellite, with either engine; and the demo's tiles, which both give the same classes."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from satllm_ros.assets.paths import DEMO, DEMO_BAG, DEMO_CHECKPOINT, asset
from satllm_ros.data.tiles import cut_tiles
from satllm_ros.model.engines.choice import EngineRequest, choose_engine
from satllm_ros.model.export.write import export_bundle
from satllm_ros.model.normalization import normalize
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.images.frames import Frame, bag_frames

PATIENCE_S = 120.0
CHECKPOINT = asset(DEMO_CHECKPOINT)
# The satellite's own main; it says when its stage is active, and in the end what it has imported.
SATELLITE = """
import sys
from satllm_ros.nodes.satellite import main
from satllm_ros.nodes.stage import StageNode

activate = StageNode.activate

def say(node):
    activate(node)
    print("the stage is active", flush=True)

StageNode.activate = say
code = main()
print("imported:", *sorted({"torch", "timm", "torchvision", "onnxruntime"} & set(sys.modules)), flush=True)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's."""
    folder = tmp_path_factory.mktemp("demo") / "bundle"
    export_bundle(CHECKPOINT, read_spec(CHECKPOINT), folder, lambda: None)
    return folder


class Board:
    """A satellite's process, which measures blocks of its model and becomes ready."""

    def __init__(self, folder: Path, domain: int, *values: str) -> None:
        self._said = b""
        words = [f"-p{value}" for value in ("satellites:=[sat1]", f"state_directory:={folder}", *values)]
        words = [word for value in words for word in (value[:2], value[2:])]
        command = [sys.executable, "-P", "-c", SATELLITE, "--ros-args", "-r", "__ns:=/sat1", *words]
        environment = os.environ | {"ROS_DOMAIN_ID": str(domain)}
        self._process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )

    @property
    def log(self) -> str:
        return self._said.decode()

    def until(self, words: str) -> None:
        assert self._process.stdout is not None
        deadline_s = time.monotonic() + PATIENCE_S
        while words not in self.log:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline_s - time.monotonic()))
            more = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            # Nothing more: it has ended, or the time is over.
            assert more, self.log
            self._said += more

    def end(self) -> str:
        self._process.send_signal(signal.SIGINT)
        rest, _ = self._process.communicate(timeout=PATIENCE_S)
        self._said += rest
        return self.log

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def boards() -> Iterator[list[Board]]:
    made: list[Board] = []
    yield made
    for board in made:
        board.kill()


@pytest.mark.parametrize(
    ("engine", "imported"), [("auto", "onnxruntime"), ("onnx", "onnxruntime"), ("torch", "timm torch torchvision")]
)
def test_a_satellite_imports_what_its_engine_needs_and_no_more(
    engine: str, imported: str, bundle: Path, tmp_path: Path, domain: int, boards: list[Board]
) -> None:
    # At its own speed: blocks are loaded and run before it is active.
    board = Board(tmp_path, domain, f"checkpoint:={DEMO}", f"bundle:={bundle}", f"engine:={engine}")
    boards.append(board)
    board.until("the stage is active")
    log = board.end()
    kind = imported.split()[0].replace("timm", "torch").replace("runtime", "")
    assert f"engine: {kind} on cpu in float32: " in log
    assert f"imported: {imported}\n" in log


def test_an_engine_that_is_asked_for_and_not_there_is_refused_in_a_sentence(
    tmp_path: Path, domain: int, boards: list[Board]
) -> None:
    board = Board(tmp_path, domain, f"checkpoint:={DEMO}", f"bundle:={tmp_path / 'none'}", "engine:=onnx")
    boards.append(board)
    board.until(f"{tmp_path / 'none'} is no bundle")
    assert "Traceback" not in board.end()


@pytest.mark.slow
def test_both_engines_give_the_demos_tiles_the_same_classes(bundle: Path) -> None:
    spec = read_spec(CHECKPOINT)
    frames = [frame for frame in bag_frames(asset(DEMO_BAG), "") if isinstance(frame, Frame)]
    images = np.stack([cut_tiles(frame.rgb, spec.image_height, spec.image_width)[0] for frame in frames])
    assert len(images) == 500
    logits = {}
    for kind in ("torch", "onnx"):
        engine, _ = choose_engine(EngineRequest(kind), CHECKPOINT, spec, bundle=bundle, threads=1)
        engine.open()
        blocks = engine.load(0, spec.blocks)
        logits[kind] = np.concatenate([blocks(normalize(images[n : n + 10], spec)) for n in range(0, 500, 10)])
    assert np.abs(logits["onnx"] - logits["torch"]).max() <= 1e-4
    assert np.array_equal(logits["onnx"].argmax(axis=1), logits["torch"].argmax(axis=1))
