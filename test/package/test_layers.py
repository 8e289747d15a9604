"""What imports without ROS, and without torch: at run time, which the contracts of `make lint` do not see."""

from pathlib import Path

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
    "satllm_ros.documents",
    "satllm_ros.interfaces",
    "satllm_ros.links",
    "satllm_ros.middleware",
    "satllm_ros.model.spec",
    "satllm_ros.orbit",
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

IMPORT_INSTALLED = """
import importlib, pathlib, satllm_ros

package = pathlib.Path(satllm_ros.__path__[0])
for file in sorted(package.rglob("*.py")):
    name = ".".join(("satllm_ros", *file.relative_to(package).with_suffix("").parts))
    try:
        importlib.import_module(name.removesuffix(".__init__"))
    except ModuleNotFoundError as error:
        # Launch comes with a ROS distribution, not from PyPI.
        if error.name not in ("launch", "launch_ros"):
            raise
    print(name)
"""


def test_everything_but_nodes_imports_without_ros(tmp_path: Path) -> None:
    blocked = ROS | GENERATED | {"satllm_ros.nodes"}
    finished = run_python(IMPORT_ALL, tmp_path, str(CHECKOUT), ",".join(blocked), "satllm_ros")
    assert finished.returncode == 0, finished.stderr


def test_light_rooms_import_without_torch_and_matplotlib(tmp_path: Path) -> None:
    # The picture alone may draw; who else of the room needs it fails here.
    drawing = {"satllm_ros.orbit.picture"}
    blocked = ROS | GENERATED | drawing | {"satllm_ros.nodes", "torch", "torchvision", "timm", "matplotlib"}
    finished = run_python(IMPORT_ALL, tmp_path, str(CHECKOUT), ",".join(blocked), ",".join(WITHOUT_TORCH))
    assert finished.returncode == 0, finished.stderr


def test_package_init_is_empty() -> None:
    assert (PACKAGE / "__init__.py").read_bytes() == b""


def test_every_module_imports(tmp_path: Path) -> None:
    finished = run_python(IMPORT_INSTALLED, tmp_path)
    assert finished.returncode == 0, finished.stderr
    names = {str(f.relative_to(CHECKOUT))[:-3].replace("/", ".") for f in PACKAGE.rglob("*.py")}
    assert names == {name for name in finished.stdout.split() if name in names}
