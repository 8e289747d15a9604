"""A run on disk, readable by people: `run.json` and one JSON object per line for every kind of record."""

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from satllm_ros.report.record.audit import Audit
from satllm_ros.report.record.record import (
    FrameRecord,
    Key,
    LinkRecord,
    PlanRecord,
    RunRecord,
    SatelliteRecord,
    StageRecord,
    TileRecord,
    TransferRecord,
)

FORMAT = 3
# Before images had an identity of their own: labels name frame and tile only, and there are no frames.
_WITHOUT_SOURCES = 2
_LISTS: dict[str, type] = {
    "plans": PlanRecord,
    "satellites": SatelliteRecord,
    "links": LinkRecord,
    "stages": StageRecord,
    "transfers": TransferRecord,
    "tiles": TileRecord,
    "frames": FrameRecord,
}
_LABELS = ("truth", "reference")
_Record = TypeVar("_Record")


class StoreError(ValueError):
    """A recorded run is missing or not what this version writes; the message names the file and line."""


def save_run(run: RunRecord, directory: Path) -> None:
    """Write a run into `directory`, made if absent; what was recorded there before is replaced."""
    directory.mkdir(parents=True, exist_ok=True)
    plain = [f.name for f in fields(run) if f.name not in _LISTS and f.name not in _LABELS]
    header = {"format": FORMAT} | {name: getattr(run, name) for name in plain}
    header["audit"] = asdict(run.audit) if run.audit is not None else None
    (directory / "run.json").write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")
    for name in _LISTS:
        _write_lines(directory / f"{name}.jsonl", (asdict(record) for record in getattr(run, name)))
    _write_lines(directory / "labels.jsonl", _label_rows(run))


def load_run(directory: Path) -> RunRecord:
    """Read what `save_run` wrote, also that of the version before; what it did not know is then unknown.

    Raises
    ------
    StoreError
        If a file is missing, unreadable, of another format, or lacks a field.
    """
    path = directory / "run.json"
    if not path.is_file():
        raise StoreError(f"{directory} holds no recorded run: {path.name} is missing")
    header = _parse(path.read_text(encoding="utf-8"), str(path))
    written_as = header.pop("format", None)
    if written_as not in (_WITHOUT_SOURCES, FORMAT):
        raise StoreError(f"{path}: format is {written_as!r}, this version reads {_WITHOUT_SOURCES} and {FORMAT}")
    audited = header.pop("audit", None)
    if not isinstance(audited, dict | None):
        raise StoreError(f"{path}: field 'audit' is {audited!r}, expected an object")
    run = _build(RunRecord, header, str(path))
    run.audit = _build(Audit, audited, str(path)) if audited is not None else None
    for name, kind in _LISTS.items():
        if written_as == _WITHOUT_SOURCES and kind is FrameRecord:
            continue
        lines = _read_lines(directory / f"{name}.jsonl")
        setattr(run, name, [_build(kind, row, where) for row, where in lines])
    sources = _sources(run)
    for row, where in _read_lines(directory / "labels.jsonl"):
        try:
            place = (row["frame"], row["tile_index"])
            named = [row["source_id"]] if written_as == FORMAT else sources.get(place, [])
            for name in _LABELS:
                if row[name] is not None:
                    getattr(run, name).update(((source, *place), row[name]) for source in named)
        except (KeyError, TypeError) as error:
            missing = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise StoreError(f"{where}: {missing}") from error
    return run


def _sources(run: RunRecord) -> dict[tuple[int, int], list[str]]:
    """Sources of the tiles that came down, by frame and tile."""
    found: dict[tuple[int, int], list[str]] = {}
    for tile in run.tiles:
        sources = found.setdefault((tile.frame, tile.tile_index), [])
        if tile.source_id not in sources:
            sources.append(tile.source_id)
    return found


def _label_rows(run: RunRecord) -> Iterator[dict[str, Any]]:
    keys: set[Key] = run.truth.keys() | run.reference.keys()
    for key in sorted(keys):
        labels = {name: getattr(run, name).get(key) for name in _LABELS}
        yield {"source_id": key[0], "frame": key[1], "tile_index": key[2]} | labels


def _write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _read_lines(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    if not path.is_file():
        raise StoreError(f"{path.parent} holds no complete run: {path.name} is missing")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            yield _parse(line, where), where


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise StoreError(f"{where}: not JSON ({error.msg})") from error
    if not isinstance(content, dict):
        raise StoreError(f"{where}: expected a JSON object, found {type(content).__name__}")
    return content


_ALLOWED: dict[type, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}


def _build(kind: type[_Record], row: dict[str, Any], where: str) -> _Record:
    for name, hint in get_type_hints(kind).items():
        allowed = _ALLOWED.get(hint)
        if name in row and allowed and not isinstance(row[name], allowed):
            raise StoreError(f"{where}: field {name!r} is {row[name]!r}, expected {hint.__name__}")
    try:
        return kind(**{name: _tuples(value) for name, value in row.items()})
    except TypeError as error:
        raise StoreError(f"{where}: not a {kind.__name__} ({error})") from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
