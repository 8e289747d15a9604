"""What `make lint` is told by name is complete: a new room or script does not escape it."""

import re

from installation import CHECKOUT

SETTINGS = (CHECKOUT / "pyproject.toml").read_text()


def sources_of(contract: str) -> set[str]:
    """Modules that an import contract looks at."""
    (text,) = re.findall(rf'^id = "{contract}"$.*?^source_modules = \[(.*?)^\]', SETTINGS, re.S | re.M)
    return set(re.findall(r'"(.*?)"', text))


def test_every_room_but_nodes_is_kept_from_ros_and_from_messages() -> None:
    rooms = {path.parent.name for path in (CHECKOUT / "satllm_ros").glob("*/__init__.py")} - {"nodes"}
    assert len(rooms) > 20
    assert sources_of("ros") >= {f"satllm_ros.{room}" for room in rooms}
    # As single modules, not as packages.
    assert sources_of("messages") >= {f"satllm_ros.{room}{inside}" for room in rooms for inside in ("", ".**")}


def test_arguments_are_checked_in_every_script_beside_the_package() -> None:
    (named,) = re.findall(r"^module = \[([^\]]*)\]\nenable_error_code", SETTINGS, re.M)
    scripts = {path.stem for room in ("benchmarks", "examples", "tools") for path in (CHECKOUT / room).glob("*.py")}
    assert set(re.findall(r'"(.*?)"', named)) == {"satllm_ros.*", *scripts}
