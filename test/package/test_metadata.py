"""package.xml, the Python metadata and the change log agree."""

import re
from importlib.metadata import version
from xml.etree import ElementTree

import pytest
from installation import CHECKOUT

PACKAGE_XML = ElementTree.parse(CHECKOUT / "package.xml").getroot()
PINS = re.compile(r"^[A-Za-z0-9._-]+(\[[a-z]+\])?==[A-Za-z0-9.+!]+(; python_version [<>]=? \"3\.\d+\")?$")


def test_versions_agree() -> None:
    declared = PACKAGE_XML.findtext("version")
    newest = re.search(r"^(\d+\.\d+\.\d+)", (CHECKOUT / "CHANGELOG.rst").read_text(), re.MULTILINE).group(1)
    assert newest == declared
    assert version("satllm_ros") == declared


def test_package_xml_says_what_ros_tools_ask_for() -> None:
    assert PACKAGE_XML.findtext("export/build_type") == "ament_cmake"
    assert PACKAGE_XML.findtext("member_of_group") == "rosidl_interface_packages"
    assert PACKAGE_XML.findtext("license") == "Apache-2.0"
    assert "Apache License" in (CHECKOUT / "LICENSE").read_text()


def test_torch_is_no_dependency_of_package_xml() -> None:
    dependencies = [element.text for element in PACKAGE_XML if element.tag.endswith("depend")]
    assert not [name for name in dependencies if "torch" in name or "timm" in name]


def pins(name: str) -> list[str]:
    """Lines of a file of requirements and of those it takes in, without comments."""
    found = []
    for line in (CHECKOUT / name).read_text().splitlines():
        if line.startswith("-r "):
            found += pins(line[3:])
        elif line and not line.startswith("#"):
            found.append(line)
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-jazzy.txt"])
def test_requirements_are_pinned_and_sorted_out_once(name: str) -> None:
    lines = pins(name)
    assert any(line.startswith("ros-rclpy[fastrtps]==") for line in lines)
    assert not [line for line in lines if not PINS.match(line)]
    keys = [re.sub(r"==[^;]*", "", line) for line in lines]
    assert len(keys) == len(set(keys))


def test_jazzy_differs_in_the_wheels_of_ros_alone() -> None:
    ours, theirs = set(pins("requirements.txt")), set(pins("requirements-jazzy.txt"))
    assert ours != theirs
    assert not [line for line in ours ^ theirs if not line.startswith("ros-")]
