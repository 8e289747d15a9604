"""The stubs that `make lint` makes of the messages say what the installed messages are."""

import ast
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installation import CHECKOUT

from satllm_ros import msg as ours


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stubs")
    script = CHECKOUT / "tools" / "message_stubs.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True, timeout=100)
    return folder


def classes(path: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}


def read_types(stub: ast.ClassDef) -> dict[str, str]:
    """What each field of a message gives, in words."""
    found = {}
    for node in stub.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = ast.unparse(node.annotation)
        elif isinstance(node, ast.FunctionDef) and [ast.unparse(d) for d in node.decorator_list] == ["property"]:
            assert node.returns is not None
            found[node.name] = ast.unparse(node.returns)
    return found


def fits(value: Any, words: str) -> bool:
    if words.startswith("array["):
        return isinstance(value, array)
    if words.startswith("npt.NDArray["):
        return isinstance(value, np.ndarray) and value.dtype.name == words.removeprefix("npt.NDArray[np.")[:-1]
    if words.startswith("Sequence["):
        return isinstance(value, list)
    return type(value).__name__ == words.rpartition(".")[2]


def test_they_are_of_every_message_of_ours_field_by_field(stubs: Path) -> None:
    made = classes(stubs / "satllm_ros" / "msg" / "__init__.pyi")
    assert set(made) == {name for name in vars(ours) if name[0].isupper()}
    for name, stub in made.items():
        message = getattr(ours, name)()
        types = read_types(stub)
        types.pop("SLOT_TYPES")
        constants = {field for field, words in types.items() if words.startswith("ClassVar[")}
        fields = message.get_fields_and_field_types()
        assert types.keys() == fields.keys() | constants
        for field in fields:
            assert fits(getattr(message, field), types[field]), f"{name}.{field} is no {types[field]}"
        for constant in constants:
            assert fits(getattr(message, constant), types[constant].removeprefix("ClassVar[")[:-1])


def test_services_have_their_two_parts(stubs: Path) -> None:
    made = classes(stubs / "std_srvs" / "srv" / "__init__.pyi")
    assert read_types(made["Trigger_Response"]).items() >= {"success": "bool", "message": "str"}.items()
    assert read_types(made["Trigger"]) == {"Request": "TypeAlias", "Response": "TypeAlias"}
