"""package.xml, the Python metadata and the change log agree."""

import re
from importlib.metadata import version
from xml.etree import ElementTree

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


def test_requirements_are_pinned_and_sorted_out_once() -> None:
    lines = (CHECKOUT / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    assert not [line for line in pins if not PINS.match(line)]
    keys = [re.sub(r"==[^;]*", "", line) for line in pins]
    assert len(keys) == len(set(keys))
