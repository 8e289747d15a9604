"""Stubs of ROS messages and services for mypy, made from the .msg and .srv files: `message_stubs.py FOLDER`.

The Python that ROS generates of them has no types. Ours are made from the checkout, all others from what is installed.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rosidl_adapter.parser import (
    Constant,
    Field,
    MessageSpecification,
    Type,
    parse_message_file,
    parse_service_file,
)

OURS = "satllm_ros"
CHECKOUT = Path(__file__).resolve().parents[1]

_PYTHON = {"bool": "bool", "byte": "bytes", "float32": "float", "float64": "float", "string": "str", "wstring": "str"}
_NUMPY = {"char": "uint8"}
# Their sequences are array.array, and their arrays of fixed length numpy.ndarray; all else is held in a list.
_NUMBERS = {"char", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}

_HEAD = """\
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
"""


def _element(type_: Type, package: str | None) -> str:
    """Python's type of one element, in the messages of a package; of a service, they are named with theirs."""
    if type_.pkg_name is None:
        return _PYTHON.get(type_.type, "int")
    return type_.type if type_.pkg_name == package else f"{type_.pkg_name}.msg.{type_.type}"


def _read_and_taken(type_: Type, package: str | None) -> tuple[str, str]:
    """Types of what a field gives and of what may be put there."""
    element = _element(type_, package)
    if not type_.is_array:
        return element, element
    if type_.pkg_name is not None or type_.type not in _NUMBERS:
        return f"Sequence[{element}]", f"Sequence[{element}]"
    if type_.is_fixed_size_array():
        held = f"npt.NDArray[np.{_NUMPY.get(type_.type, type_.type)}]"
        return held, f"{held} | Sequence[{element}]"
    return f"array[{element}]", f"Iterable[{element}]"


def _constant(constant: Constant) -> str:
    return f"    {constant.name}: ClassVar[{_PYTHON.get(constant.type, 'int')}]"


def _field(field: Field, package: str | None) -> Iterator[str]:
    read, taken = _read_and_taken(field.type, package)
    if read == taken:
        yield f"    {field.name}: {read}"
        return
    yield "    @property"
    yield f"    def {field.name}(self) -> {read}: ..."
    yield f"    @{field.name}.setter"
    yield f"    def {field.name}(self, value: {taken}) -> None: ..."


def _message(spec: MessageSpecification, package: str | None) -> Iterator[str]:
    """Lines of one message's class."""
    yield ""
    yield f"class {spec.msg_name}:"
    yield from map(_constant, spec.constants)
    words = [f"{field.name}: {_read_and_taken(field.type, package)[1]} = ..." for field in spec.fields]
    # A star of its own: messages take no arguments by position.
    yield f"    def __init__(self, *, {', '.join([*words, 'check_fields: bool = ...'])}) -> None: ..."
    yield "    @classmethod"
    yield "    def get_fields_and_field_types(cls) -> dict[str, str]: ..."
    yield "    SLOT_TYPES: ClassVar[tuple[Any, ...]]"
    for field in spec.fields:
        yield from _field(field, package)


def _foreign(specs: Iterable[MessageSpecification], package: str | None) -> list[str]:
    """Modules of other packages that these messages name."""
    names = {field.type.pkg_name for spec in specs for field in spec.fields} - {None, package}
    return [f"import {name}.msg" for name in sorted(map(str, names))]


def _write(folder: Path, package: str | None, specs: list[MessageSpecification], after: Iterable[str] = ()) -> None:
    lines = [_HEAD, *_foreign(specs, package)]
    for spec in specs:
        lines += _message(spec, package)
    folder.mkdir(parents=True)
    (folder / "__init__.pyi").write_text("\n".join([*lines, *after]) + "\n")


def write_package(package: str, share: Path, target: Path) -> None:
    """Write the stubs of one package, whose folders msg and srv are in `share`, below `target`."""
    messages = [parse_message_file(package, str(path)) for path in sorted(share.glob("msg/*.msg"))]
    if messages:
        _write(target / package / "msg", package, messages)
    parts: list[MessageSpecification] = []
    services: list[str] = []
    for path in sorted(share.glob("srv/*.srv")):
        service = parse_service_file(package, str(path))
        parts += [service.request, service.response]
        services += ["", f"class {path.stem}:"]
        services += [f"    {part}: TypeAlias = {path.stem}_{part}" for part in ("Request", "Response")]
    if parts:
        _write(target / package / "srv", None, parts, services)


def _prefixes() -> Iterator[Path]:
    yield Path(sys.prefix)
    yield from (Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry)


def main() -> None:
    """Write the stubs of every package with messages."""
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    packages = {OURS: CHECKOUT}
    for prefix in _prefixes():
        for folder in (*prefix.glob("share/*/msg"), *prefix.glob("share/*/srv")):
            packages.setdefault(folder.parent.name, folder.parent)
    for package, share in packages.items():
        (target / package).mkdir(parents=True)
        # Of our own package too: without it the messages that are installed, untyped, would come first.
        (target / package / "__init__.pyi").touch()
        write_package(package, share, target)


if __name__ == "__main__":
    main()
