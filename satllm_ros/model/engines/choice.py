"""Which engine runs a model here: what is asked for, what there is, and what `auto` takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from satllm_ros.model.engines.bundle import bundle_of, read_manifest
from satllm_ros.model.engines.engine import Engine, EngineName
from satllm_ros.model.engines.onnx_engine import OnnxEngine
from satllm_ros.model.engines.torch_engine import TorchEngine
from satllm_ros.model.errors import ModelError
from satllm_ros.model.spec import BFLOAT16, FLOAT32, ModelSpec

AUTO, TORCH, ONNX = "auto", "torch", "onnx"
COMBINATIONS = (
    EngineName(TORCH, "cpu", FLOAT32),
    EngineName(TORCH, "cpu", BFLOAT16),
    EngineName(ONNX, "cpu", FLOAT32),
)
KINDS, DEVICES, PRECISIONS = (
    (AUTO, *dict.fromkeys(words))
    for words in zip(*((name.kind, name.device, name.precision) for name in COMBINATIONS), strict=True)
)


@dataclass(frozen=True)
class EngineRequest:
    """What is asked for; `auto` leaves it open. The precision left open is the checkpoint's own, where that can be.

    Raises
    ------
    ModelError
        If there is no such combination; the message lists those that there are.
    """

    kind: str = AUTO
    device: str = AUTO
    precision: str = AUTO

    def __post_init__(self) -> None:
        if not any(self.allows(name) for name in COMBINATIONS):
            listed = "; ".join(map(str, COMBINATIONS))
            raise ModelError(f"there is no engine of {self}; those that there are: {listed}")

    def __str__(self) -> str:
        return ", ".join(f"{name} {word}" for name, word in asdict(self).items() if word != AUTO)

    def allows(self, name: EngineName) -> bool:
        """Whether an engine is what is asked for."""
        asked = (self.kind, self.device, self.precision)
        return all(a in (AUTO, n) for a, n in zip(asked, (name.kind, name.device, name.precision), strict=True))


def choose_engine(
    request: EngineRequest, checkpoint: Path, spec: ModelSpec, *, bundle: str | Path, threads: int
) -> tuple[Engine, str]:
    """The engine to take, not yet open, and why, in words.

    Parameters
    ----------
    bundle
        Where the bundle is; empty: beside the checkpoint.

    Raises
    ------
    OSError, ModelError
        If what is asked for cannot be had, in a sentence.
    """
    torch_engine = TorchEngine(checkpoint, spec, threads=threads)
    if request.kind == TORCH:
        return _allowed(request, torch_engine), "it is asked for"
    folder = bundle_of(checkpoint, bundle)
    try:
        manifest = read_manifest(folder, spec)
        onnx_engine = _allowed(request, OnnxEngine(folder, manifest, threads=threads))
    except (OSError, ModelError) as error:
        if request.kind == ONNX:
            raise
        return _allowed(request, torch_engine), str(error)
    if request.kind == ONNX:
        return onnx_engine, "it is asked for"
    if find_spec("onnxruntime") is None:
        return _allowed(request, torch_engine), "onnxruntime is not installed"
    if manifest.checkpoint_precision != manifest.precision and request.precision == AUTO:
        return torch_engine, f"the checkpoint is {spec.precision}, and its bundle computes in {manifest.precision}"
    return onnx_engine, f"{folder} is a bundle of this model"


def _allowed(request: EngineRequest, engine: Engine) -> Engine:
    if not request.allows(engine.name):
        raise ModelError(f"this checkpoint is run by {engine.name}, and {request} is asked for")
    return engine
