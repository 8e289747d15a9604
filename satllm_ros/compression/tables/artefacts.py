"""What both ends of a link must share to code activations: one file per model, known by a hash."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from satllm_ros.compression.tables.coefficient_tables import CoefficientTables
from satllm_ros.compression.tables.cut_tables import CutTables
from satllm_ros.compression.tables.measurement import Measurement
from satllm_ros.compression.tables.scales import CutScales
from satllm_ros.compression.wire.errors import ArtefactError
from satllm_ros.compression.wire.setting import WITH_TABLES, WITHOUT_SCALES, CodecSetting

FORMAT = "satllm-codec"
FORMAT_VERSION = "3"
# Version 1 had scales only, 2 no measurements of single cuts; they are read as they were.
READ_VERSIONS = ("1", "2", FORMAT_VERSION)
# In what the id is made of: adding tables to a file must not change the ids of files without.
_ID_VERSION = "1"
_COEFFICIENTS = "coefficients"


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
    tables : mapping of int to CutTables
        By cut. May be empty: masks and transforms need them.
    coefficients : CoefficientTables, optional
        What the transforms of all cuts share; needed where there are tables.
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
    tables: Mapping[int, CutTables] = field(default_factory=dict)
    coefficients: CoefficientTables | None = None
    artefact_id: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.model_id) != 16 or not set(self.model_id) <= set("0123456789abcdef"):
            raise ArtefactError(f"model id {self.model_id!r} is not 16 lower-case hexadecimal digits")
        if not 0 <= self.prefix_tokens < 2**16:
            raise ArtefactError(f"{self.prefix_tokens} prefix tokens are out of range; allowed are 0 to 65535")
        if not 1 <= self.width < 2**32:
            raise ArtefactError(f"width {self.width} is out of range; allowed are 1 to 2^32 - 1")
        for cut in (*self.scales, *self.tables):
            if not 1 <= cut < 2**16:
                raise ArtefactError(f"cut {cut} is out of range; allowed are 1 to 65535")
        scales = {cut: self.scales[cut].checked(cut, self.prefix_tokens, self.width) for cut in sorted(self.scales)}
        tables = {cut: self.tables[cut].checked(cut, self.prefix_tokens, self.width) for cut in sorted(self.tables)}
        if not tables.keys() <= scales.keys():
            raise ArtefactError(f"there are tables of cuts {list(tables)}, but scales only of {list(scales)}")
        if bool(tables) != (self.coefficients is not None):
            raise ArtefactError("tables of cuts and tables of coefficients must come together")
        object.__setattr__(self, "scales", MappingProxyType(scales))
        object.__setattr__(self, "tables", MappingProxyType(tables))
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

    def tables_of(self, cut: int) -> CutTables:
        """Tables of a cut.

        Raises
        ------
        ArtefactError
            If there are none for that cut; the message lists those that there are.
        """
        if cut not in self.tables:
            known = ", ".join(map(str, self.tables)) or "none"
            raise ArtefactError(f"artefacts {self.artefact_id} have no tables for cut {cut}; cuts with tables: {known}")
        return self.tables[cut]

    def shared_tables(self) -> CoefficientTables:
        """What the transforms of all cuts share; there is some wherever `tables_of` gives tables."""
        assert self.coefficients is not None
        return self.coefficients

    def check_can_code(self, setting: CodecSetting, cut: int | None = None) -> None:
        """Refuse a setting whose codec needs scales or tables that these artefacts do not hold, for a cut or for any.

        Raises
        ------
        ArtefactError
            The message names what is missing.
        """
        codec = setting.codec
        if codec in WITH_TABLES and not self.tables:
            raise ArtefactError(f"setting {setting} needs masks and transforms; artefacts {self.artefact_id} have none")
        if codec not in WITHOUT_SCALES and not self.scales:
            raise ArtefactError(f"setting {setting} needs scales; artefacts {self.artefact_id} have none")
        if cut is not None and codec in WITH_TABLES:
            self.tables_of(cut)
        elif cut is not None and codec not in WITHOUT_SCALES:
            self.scales_of(cut)

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
        head = f"{FORMAT} {_ID_VERSION} {self.model_id} {self.prefix_tokens} {self.width}\n"
        digest = hashlib.sha256(head.encode())
        for cut, scales in self.scales.items():
            digest.update(f"{cut}\n".encode())
            for array in scales.arrays().values():
                digest.update(array.tobytes())
        if self.coefficients is not None:
            named: list[tuple[str, CoefficientTables | CutTables]] = [
                (_COEFFICIENTS, self.coefficients),
                *((f"cut{cut}", tables) for cut, tables in self.tables.items()),
            ]
            for owner, held in named:
                for name, array in held.arrays().items():
                    digest.update(f"{owner}.{name} {' '.join(map(str, array.shape))}\n".encode())
                    digest.update(array.tobytes())
        return digest.hexdigest()[:16]


def save_artefacts(path: Path, artefacts: Artefacts) -> None:
    """Write artefacts as safetensors: `cut<c>.<array>` and `coefficients.<array>`, the rest in the metadata."""
    owners: list[tuple[str, CutScales | CutTables | CoefficientTables]] = [
        (f"cut{cut}", held) for by_cut in (artefacts.scales, artefacts.tables) for cut, held in by_cut.items()
    ]
    if artefacts.coefficients is not None:
        owners.append((_COEFFICIENTS, artefacts.coefficients))
    tensors = {f"{owner}.{name}": array for owner, held in owners for name, array in held.arrays().items()}
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model_id": artefacts.model_id,
        "artefact_id": artefacts.artefact_id,
        "prefix_tokens": str(artefacts.prefix_tokens),
        "width": str(artefacts.width),
        "measurements": json.dumps({name: found.to_json() for name, found in artefacts.measurements.items()}),
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
            if metadata.get("format") != FORMAT or metadata.get("format_version") not in READ_VERSIONS:
                raise ArtefactError(f"{path} holds no codec artefacts of version {', '.join(READ_VERSIONS)}")
            held = _read_tensors(file)
        prefix_tokens, width = _count(metadata["prefix_tokens"]), _count(metadata["width"])
        artefacts = Artefacts(
            metadata["model_id"],
            prefix_tokens,
            width,
            held.scales,
            _read_measurements(metadata.get("measurements", "{}")),
            held.tables,
            held.coefficients,
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
        raise ArtefactError(
            f"codec artefacts {path} are of model {artefacts.model_id}, needed are those of {model_id}; "
            "satllm calibrate-codec makes them"
        )
    return artefacts


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise ArtefactError(f"codec artefacts give {text!r} where a count is needed")
    return int(text)


def _read_measurements(text: str) -> dict[str, Measurement]:
    try:
        return {name: Measurement.from_json(found) for name, found in json.loads(text).items()}
    except ArtefactError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        raise ArtefactError(f"measurements in codec artefacts are damaged: {error}") from None


@dataclass(frozen=True)
class _Held:
    """What the tensors of a file make."""

    scales: dict[int, CutScales]
    tables: dict[int, CutTables]
    coefficients: CoefficientTables | None


_SCALES = set(CutScales.__dataclass_fields__)
_TABLES = set(CutTables.__dataclass_fields__)
_SHARED = {"frequencies", "shifts"}


def _read_tensors(file: safe_open) -> _Held:
    by_cut: dict[int, dict[str, Any]] = {}
    shared: dict[str, Any] = {}
    for key in file.keys():
        owner, _, name = key.partition(".")
        cut = owner.removeprefix("cut")
        if owner == _COEFFICIENTS and name in _SHARED:
            shared[name] = file.get_tensor(key)
        elif cut.isdecimal() and name in _SCALES | _TABLES:
            by_cut.setdefault(int(cut), {})[name] = file.get_tensor(key)
        else:
            raise ArtefactError(f"tensor {key!r} is not one of codec artefacts, which are named cut<number>.<array>")
    for cut, arrays in by_cut.items():
        if arrays.keys() not in (_SCALES, _SCALES | _TABLES):
            raise ArtefactError(f"scales or tables of cut {cut} are incomplete: {', '.join(sorted(arrays))}")
    if shared and shared.keys() != _SHARED:
        raise ArtefactError(f"tables of the coefficients are incomplete: {', '.join(shared)}")
    return _Held(
        {cut: CutScales(**{name: arrays[name] for name in _SCALES}) for cut, arrays in by_cut.items()},
        {cut: CutTables(**{n: a[n] for n in _TABLES}) for cut, a in by_cut.items() if a.keys() > _SCALES},
        CoefficientTables(**shared) if shared else None,
    )
