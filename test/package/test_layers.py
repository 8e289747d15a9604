"""The layers of the package: ROS only in nodes, and no torch where none is needed."""

import ast
from pathlib import Path

import pytest
from installation import CHECKOUT, run_python

PACKAGE = CHECKOUT / "satllm_ros"
ROS = {
    *("rclpy", "rpyutils", "cv_bridge", "launch", "launch_ros", "ament_index_python", "rosidl_runtime_py"),
    *("action_msgs", "builtin_interfaces", "diagnostic_msgs", "lifecycle_msgs", "rcl_interfaces"),
    *("rosgraph_msgs", "sensor_msgs", "service_msgs", "std_msgs", "std_srvs", "type_description_interfaces"),
}
GENERATED = {"satllm_ros.msg", "satllm_ros.srv", "satllm_ros.action"}
WITHOUT_TORCH = (
    "satllm_ros.acquisition",
    "satllm_ros.assets",
    "satllm_ros.checks",
    "satllm_ros.compression",
    "satllm_ros.constellation",
    "satllm_ros.data.rosbag.bag",
    "satllm_ros.interfaces",
    "satllm_ros.links",
    "satllm_ros.middleware",
    "satllm_ros.model.spec",
    "satllm_ros.planning",
    "satllm_ros.protocol",
    "satllm_ros.replanning",
    "satllm_ros.satellite",
    "satllm_ros.signing",
    "satllm_ros.storage",
    "satllm_ros.supervisor",
)

IMPORT_ALL = """
import importlib, pkgutil, sys

checkout, blocked, names = sys.argv[1], set(sys.argv[2].split(",")), sys.argv[3].split(",")

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if any(name == root or name.startswith(root + ".") for root in blocked):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
sys.path.insert(0, checkout)

def visit(name):
    module = importlib.import_module(name)
    for found in pkgutil.iter_modules(getattr(module, "__path__", []), name + "."):
        # A library that was built in the checkout, for ctypes, looks like a module.
        if found.name not in blocked and not found.name.rpartition(".")[2].startswith("lib"):
            visit(found.name)

for name in names:
    visit(name)
    print(name)
"""


def sources_outside_nodes() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*.py")) if (PACKAGE / "nodes") not in file.parents]


def imported_modules(file: Path) -> set[str]:
    """Absolute names of all modules that a source file imports, at any depth of its code."""
    names: set[str] = set()
    parts = file.relative_to(CHECKOUT).with_suffix("").parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("file", sources_outside_nodes(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_ros_import_outside_nodes(file: Path) -> None:
    modules = imported_modules(file)
    ros = {name for name in modules if name.split(".")[0] in ROS or name.startswith("rosidl_")}
    assert not ros
    assert not {name for name in modules if ".".join(name.split(".")[:2]) in GENERATED}


def test_everything_but_nodes_imports_without_ros(tmp_path: Path) -> None:
    blocked = ROS | GENERATED | {"satllm_ros.nodes"}
    finished = run_python(IMPORT_ALL, tmp_path, str(CHECKOUT), ",".join(blocked), "satllm_ros")
    assert finished.returncode == 0, finished.stderr


def test_light_rooms_import_without_torch_and_matplotlib(tmp_path: Path) -> None:
    blocked = ROS | GENERATED | {"satllm_ros.nodes", "torch", "torchvision", "timm", "matplotlib"}
    finished = run_python(IMPORT_ALL, tmp_path, str(CHECKOUT), ",".join(blocked), ",".join(WITHOUT_TORCH))
    assert finished.returncode == 0, finished.stderr


def test_package_init_is_empty() -> None:
    assert (PACKAGE / "__init__.py").read_bytes() == b""
