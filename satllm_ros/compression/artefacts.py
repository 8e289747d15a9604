"""What both ends of a link must share to code activations: one file per model, known by a hash."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from satllm_ros.compression.errors import ArtefactError
from satllm_ros.compression.scales import CutScales
from satllm_ros.compression.setting import CodecSetting


@dataclass(frozen=True)
class Measurement:
    """What calibration found of one setting, with every cut compressed in cascade.

    Parameters
    ----------
    accuracy : float
        Share of right predictions, 0 to 1.
    ratio : float
        Wire bytes / fp32 bytes, mean over the cuts.
    """

    accuracy: float
    ratio: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.accuracy <= 1.0 and self.ratio > 0.0):
            raise ArtefactError(
                f"measurement with accuracy {self.accuracy} and ratio {self.ratio}; allowed are 0 to 1, and above 0"
            )


FORMAT = "satllm-codec"
FORMAT_VERSION = "1"


@dataclass(frozen=True, eq=False)
class Artefacts:
    """Scales of one model, for as many cuts as were calibrated.

    Parameters
    ----------
    model_id : str
        First 16 hexadecimal digits of the SHA-256 of the checkpoint.
    prefix_tokens : int
        P, number of class and register tokens, which come first.
    width : int
        D.
    scales : mapping of int to CutScales
        By cut. May be empty: `raw` needs none.
    measurements : mapping of str to Measurement
        By setting. They inform planning and change no frame, so they are not part of the id.

    Attributes
    ----------
    artefact_id : str
        First 16 hexadecimal digits of the SHA-256 of all of the above: equal content, equal id, on any
        machine.

    Raises
    ------
    ArtefactError
        If a size, a shape or a value is not usable.
    """

    model_id: str
    prefix_tokens: int
    width: int
    scales: Mapping[int, CutScales]
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    artefact_id: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.model_id) != 16 or not set(self.model_id) <= set("0123456789abcdef"):
            raise ArtefactError(f"model id {self.model_id!r} is not 16 lower-case hexadecimal digits")
        if not 0 <= self.prefix_tokens < 2**16:
            raise ArtefactError(f"{self.prefix_tokens} prefix tokens are out of range; allowed are 0 to 65535")
        if not 1 <= self.width < 2**32:
            raise ArtefactError(f"width {self.width} is out of range; allowed are 1 to 2^32 - 1")
        for cut in self.scales:
            if not 1 <= cut < 2**16:
                raise ArtefactError(f"cut {cut} is out of range; allowed are 1 to 65535")
        scales = {cut: self.scales[cut].checked(cut, self.prefix_tokens, self.width) for cut in sorted(self.scales)}
        object.__setattr__(self, "scales", MappingProxyType(scales))
        object.__setattr__(self, "artefact_id", self._hash())

    def scales_of(self, cut: int) -> CutScales:
        """Scales of a cut.

        Raises
        ------
        ArtefactError
            If that cut was not calibrated; the message lists those that were.
        """
        if cut not in self.scales:
            known = ", ".join(map(str, self.scales)) or "none"
            raise ArtefactError(f"artefacts {self.artefact_id} have no scales for cut {cut}; calibrated cuts: {known}")
        return self.scales[cut]

    def measured(self, setting: CodecSetting) -> Measurement:
        """What calibration found of a setting.

        Raises
        ------
        ArtefactError
            If it was not measured; the message lists what was.
        """
        if str(setting) not in self.measurements:
            known = ", ".join(self.measurements) or "none"
            raise ArtefactError(
                f"artefacts {self.artefact_id} hold no measurement of setting {setting}; measured: {known}"
            )
        return self.measurements[str(setting)]

    def _hash(self) -> str:
        head = f"{FORMAT} {FORMAT_VERSION} {self.model_id} {self.prefix_tokens} {self.width}\n"
        digest = hashlib.sha256(head.encode())
        for cut, scales in self.scales.items():
            digest.update(f"{cut}\n".encode())
            for array in scales.arrays().values():
                digest.update(array.tobytes())
        return digest.hexdigest()[:16]


def save_artefacts(path: Path, artefacts: Artefacts) -> None:
    """Write artefacts as safetensors: `cut<c>.<array>` float32 tensors, the rest in the metadata."""
    tensors = {
        f"cut{cut}.{name}": array for cut, scales in artefacts.scales.items() for name, array in scales.arrays().items()
    }
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model_id": artefacts.model_id,
        "artefact_id": artefacts.artefact_id,
        "prefix_tokens": str(artefacts.prefix_tokens),
        "width": str(artefacts.width),
        "measurements": json.dumps({name: asdict(found) for name, found in artefacts.measurements.items()}),
    }
    # Not save_file, which makes files that only their owner can read.
    Path(path).write_bytes(save(tensors, metadata))


def load_artefacts(path: Path, *, model_id: str | None = None) -> Artefacts:
    """Read artefacts and check that they are whole.

    Parameters
    ----------
    model_id : str, optional
        The model they must be of.

    Raises
    ------
    OSError
        If the file cannot be read.
    ArtefactError
        If it holds something else, was changed, or is of another model.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if (metadata.get("format"), metadata.get("format_version")) != (FORMAT, FORMAT_VERSION):
                raise ArtefactError(f"{path} holds no codec artefacts of version {FORMAT_VERSION}")
            scales = _read_scales(file)
        prefix_tokens, width = _count(metadata["prefix_tokens"]), _count(metadata["width"])
        artefacts = Artefacts(
            metadata["model_id"],
            prefix_tokens,
            width,
            scales,
            _read_measurements(metadata.get("measurements", "{}")),
        )
        stated_id = metadata["artefact_id"]
    except SafetensorError as error:
        raise ArtefactError(f"{path} is not a safetensors file: {error}") from None
    except KeyError as error:
        raise ArtefactError(f"codec artefacts {path} lack {error}") from None
    if artefacts.artefact_id != stated_id:
        raise ArtefactError(
            f"codec artefacts {path} say they are {stated_id}, their content is {artefacts.artefact_id}"
        )
    if model_id is not None and artefacts.model_id != model_id:
        raise ArtefactError(f"codec artefacts {path} are of model {artefacts.model_id}, needed are those of {model_id}")
    return artefacts


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise ArtefactError(f"codec artefacts give {text!r} where a count is needed")
    return int(text)


def _read_measurements(text: str) -> dict[str, Measurement]:
    try:
        return {name: Measurement(**found) for name, found in json.loads(text).items()}
    except (AttributeError, TypeError, json.JSONDecodeError) as error:
        raise ArtefactError(f"measurements in codec artefacts are damaged: {error}") from None


def _read_scales(file: safe_open) -> dict[int, CutScales]:
    by_cut: dict[int, dict] = {}
    for key in file.keys():
        cut, _, name = key.removeprefix("cut").partition(".")
        if not cut.isdecimal() or name not in CutScales.__dataclass_fields__:
            raise ArtefactError(f"tensor {key!r} is not one of codec artefacts, which are named cut<number>.<array>")
        by_cut.setdefault(int(cut), {})[name] = file.get_tensor(key)
    missing = [cut for cut, arrays in by_cut.items() if len(arrays) != len(CutScales.__dataclass_fields__)]
    if missing:
        raise ArtefactError(f"scales of cut {missing[0]} are incomplete: {', '.join(sorted(by_cut[missing[0]]))}")
    return {cut: CutScales(**arrays) for cut, arrays in by_cut.items()}
