"""What the launch files share. Skipped where launch is not installed: it is part of ROS and not on PyPI."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

pytest.importorskip("launch_ros")

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from launch.utilities import perform_substitutions
from launch_ros.actions import Node, PushRosNamespace
from ros_domain import lock_of, own_domain

from satllm_ros.middleware.shared_memory import remove_orphans
from satllm_ros.middleware.transports import PROFILE_VARIABLE
from satllm_ros.nodes.launching import description as launching

LAUNCH = Path(__file__).resolve().parents[3] / "launch"
LAUNCH_FROM_SCRIPT = """
import json, sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService()
source = PythonLaunchDescriptionSource(sys.argv[1])
service.include_launch_description(
    IncludeLaunchDescription(source, launch_arguments=json.loads(sys.argv[2]).items())
)
service.run()
"""
PATIENCE_S = 120.0


@pytest.mark.parametrize(
    ("pushed", "argument", "root"),
    [("", "", ""), ("", "/fleet/a/", "fleet/a"), ("/x", "", "x"), ("/x/y", "fleet", "x/y/fleet")],
)
def test_the_root_is_the_argument_below_what_was_pushed(pushed: str, argument: str, root: str) -> None:
    assert launching.root_namespace(pushed, argument) == root


def test_two_includes_with_pushed_namespaces_are_two_graphs(tmp_path: Path) -> None:
    file = PythonLaunchDescriptionSource(str(LAUNCH / "constellation.launch.py"))
    config = str(LAUNCH.parent / "config" / "constellation.yaml")
    arguments = {"config": config, "bag": "demo", "runs": str(tmp_path)}

    def include(**more: str) -> IncludeLaunchDescription:
        return IncludeLaunchDescription(file, launch_arguments=(arguments | more).items())

    described = LaunchDescription(
        [
            GroupAction([PushRosNamespace("fleet"), PushRosNamespace("a"), include()]),
            GroupAction([PushRosNamespace("fleet"), include(namespace="b")]),
        ]
    )
    context = LaunchContext()
    commands = [command for action in described.entities for command in started(action, context)]
    for root in ("/fleet/a", "/fleet/b"):
        of_root = [command for command in commands if f"__ns:={root}/sat1" in command]
        assert len(of_root) == 1
        (parameters,) = (word for word in of_root[0] if word.endswith(".yaml"))
        assert set(yaml.safe_load(Path(parameters).read_text())) == {
            f"{root}/sat1/{node}" for node in ("stage", "compression", "downlink")
        }
        assert any(f"__ns:={root}" in command for command in commands)
    assert len(commands) == 2 * len(commands[: len(commands) // 2]) and len(list(tmp_path.glob("2*"))) == 2


def started(entity: LaunchDescriptionEntity, context: LaunchContext) -> Iterator[list[str]]:
    """Command lines of the nodes that an action would start."""
    if isinstance(entity, Node):
        entity._perform_substitutions(context)
        # As it does when it is executed.
        context.extend_locals({"ros_specific_arguments": {"ns": f"__ns:={entity.expanded_node_namespace}"}})
        yield [perform_substitutions(context, words) for words in entity.cmd]
        return
    for below in entity.visit(context) or ():
        yield from started(below, context)


@pytest.mark.parametrize(("respawn", "code", "ends"), [(False, 0, True), (True, 0, True), (True, -9, False)])
def test_a_launch_ends_with_the_ground_unless_that_comes_back(respawn: bool, code: int, ends: bool) -> None:
    event = SimpleNamespace(returncode=code, process_name="ground")
    assert (launching._end(respawn, event, None) is not None) is ends


@pytest.mark.parametrize(("respawn", "code"), [(False, 1), (True, 1), (False, -9)])
def test_a_ground_that_fails_fails_the_launch(respawn: bool, code: int) -> None:
    with pytest.raises(RuntimeError, match=f"ground ended with exit code {code}"):
        launching._end(respawn, SimpleNamespace(returncode=code, process_name="ground"), None)


@pytest.mark.parametrize("file", sorted(LAUNCH.glob("*.launch.py")), ids=lambda file: file.name)
def test_a_switch_that_is_no_switch_ends_every_launch(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = str(LAUNCH.parent / "config" / "constellation.yaml")
    arguments = {"respawn": "perhaps", "bag": "demo", "satellite": "sat1", "config": config}
    service = LaunchService()
    service.include_launch_description(
        IncludeLaunchDescription(PythonLaunchDescriptionSource(str(file)), launch_arguments=arguments.items())
    )
    assert service.run() == 1
    assert "respawn is 'perhaps'; allowed are true and false" in caplog.text


@pytest.mark.parametrize("file", sorted(LAUNCH.glob("*.launch.py")), ids=lambda file: file.name)
def test_every_launch_can_go_on_with_a_run(file: Path) -> None:
    declared = get_launch_description_from_python_launch_file(str(file)).get_launch_arguments()
    (argument,) = (argument for argument in declared if argument.name == "run")
    assert [part.text for part in argument.default_value] == [""]
    assert "one that is there is gone on with" in argument.description


def test_a_satellite_that_is_launched_again_finds_its_store(tmp_path: Path) -> None:
    run, runs = tmp_path / "mission", tmp_path / "runs"
    arguments = {"config": str(LAUNCH.parent / "config" / "constellation.yaml"), "namespace": "", "runs": str(runs)}
    constellation = launching.constellation_of(arguments, on_one_computer=True)

    def store_directories(chosen: str) -> str:
        launching.actions(constellation, arguments | {"run": chosen}, lambda spec: spec.name == "sat1")
        (parameters,) = tmp_path.rglob("sat1.yaml")
        (found,) = re.findall(r'"store_directory": "(.*?)"', parameters.read_text())
        parameters.unlink()
        return found

    assert [Path(store_directories(str(run))) for _ in range(2)] == [run, run]
    assert not runs.exists()
    assert len({store_directories("") for _ in range(2)}) == 2 and len(list(runs.glob("2*"))) == 2


@pytest.mark.parametrize("file", sorted(LAUNCH.glob("*.launch.py")), ids=lambda file: file.name)
def test_settings_that_cannot_fly_end_every_launch(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "abc")
    content = yaml.safe_load((LAUNCH.parent / "config" / "constellation.yaml").read_text())
    config = tmp_path / "constellation.yaml"
    config.write_text(yaml.safe_dump(content | {"emulate": {"compute": False, "links": False}}))
    runs = tmp_path / "runs"
    arguments = {"bag": "demo", "satellite": "sat1", "config": str(config), "runs": str(runs)}
    service = LaunchService()
    service.include_launch_description(
        IncludeLaunchDescription(PythonLaunchDescriptionSource(str(file)), launch_arguments=arguments.items())
    )
    assert service.run() == 1
    assert "ROS_DOMAIN_ID is 'abc', which is not a whole number" in caplog.text
    assert not runs.exists()


def test_launched_processes_share_one_choice_of_transports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("ROS_LOG_DIR", raising=False)
    monkeypatch.setattr("satllm_ros.middleware.transports.free_bytes", lambda _: 0)
    arguments = {"config": str(LAUNCH.parent / "config" / "constellation.yaml"), "namespace": "", "run": ""}
    constellation = launching.constellation_of(arguments, on_one_computer=True)
    made = launching.actions(constellation, arguments | {"runs": str(tmp_path)}, lambda spec: True)
    nodes = [action for action in made if isinstance(action, Node)]
    environments = [{k[0].text: v[0].text for k, v in node.additional_env} for node in nodes]
    assert len(nodes) > 5 and all(environment == environments[0] for environment in environments)
    assert Path(environments[0][PROFILE_VARIABLE]).name == "fastdds_udp.xml"
    assert Path(environments[0]["ROS_LOG_DIR"]).is_relative_to(tmp_path)


def test_launched_processes_on_real_links_have_a_profile_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    content = yaml.safe_load((LAUNCH.parent / "config" / "constellation.yaml").read_text())
    config = tmp_path / "constellation.yaml"
    config.write_text(yaml.safe_dump(content | {"emulate": {"compute": False, "links": False}}))
    arguments = {"config": str(config), "namespace": "fleet", "run": "", "runs": str(tmp_path)}
    constellation = launching.constellation_of(arguments)
    made = launching.actions(constellation, arguments, lambda spec: spec.name in ("sat1", "sensing", "planner"))
    environments = [{k[0].text: v[0].text for k, v in node.additional_env} for node in made if isinstance(node, Node)]
    assert {Path(environment[PROFILE_VARIABLE]).name for environment in environments} == {
        "sat1.xml",
        "sensing.xml",
        "planner.xml",
    }
    assert all(environment["RMW_FASTRTPS_USE_QOS_FROM_XML"] == "1" for environment in environments)
    assert all(Path(environment[PROFILE_VARIABLE]).is_file() for environment in environments)


def test_the_log_level_reaches_every_process(tmp_path: Path) -> None:
    arguments = {"config": str(LAUNCH.parent / "config" / "constellation.yaml"), "namespace": "", "run": ""}
    arguments |= {"runs": str(tmp_path), "log_level": "debug"}
    constellation = launching.constellation_of(arguments, on_one_computer=True)
    context = LaunchContext()
    for action in launching.actions(constellation, arguments, lambda spec: True):
        for command in started(action, context) if isinstance(action, Node) else ():
            assert command[command.index("--log-level") + 1] == "debug"


def test_a_log_level_that_is_none_ends_a_launch(caplog: pytest.LogCaptureFixture) -> None:
    arguments = {"log_level": "loud", "config": str(LAUNCH.parent / "config" / "constellation.yaml")}
    service = LaunchService()
    source = PythonLaunchDescriptionSource(str(LAUNCH / "constellation.launch.py"))
    service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments.items()))
    assert service.run() == 1
    assert "log_level is 'loud'; allowed are debug, info, warn, error, fatal" in caplog.text


@pytest.mark.parametrize("more", [{"images": "folder"}, {"camera": "true"}])
def test_two_sources_are_refused(more: dict[str, str]) -> None:
    arguments = {"config": str(LAUNCH.parent / "config" / "constellation.yaml"), "bag": "demo", "image_topic": ""}
    with pytest.raises(ValueError, match=f"bag and {next(iter(more))} are given, which are sources each: give one"):
        launching.constellation_of(arguments | more, on_one_computer=True)


@pytest.mark.parametrize("prefix", ["", "debugger.sh"])
def test_a_launch_that_is_killed_leaves_no_process_behind(prefix: str, tmp_path: Path) -> None:
    arguments = {"runs": str(tmp_path / "runs"), "reference": "none"}
    if prefix:
        # Stands between the launch and the node, as a debugger does.
        (tmp_path / prefix).write_text('#!/bin/sh\n"$@"\nexit\n')
        (tmp_path / prefix).chmod(0o755)
        arguments["launch-prefix"] = str(tmp_path / prefix)
    mark = f"SATLLM_TEST_LAUNCH={uuid.uuid4().hex}"
    name, value = mark.split("=")
    with own_domain() as domain:
        launch = subprocess.Popen(
            [sys.executable, "-c", LAUNCH_FROM_SCRIPT, LAUNCH / "constellation.launch.py", json.dumps(arguments)],
            env=os.environ | {name: value, "ROS_DOMAIN_ID": str(domain)},
            cwd=tmp_path,
            start_new_session=True,
            pass_fds=[lock_of(domain)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            # By then all satellites have spoken: they have asked to be ended with the launch.
            assert any("propose plan" in line for line in launch.stdout or ())
            processes = [os.pidfd_open(pid) for pid in marked(mark) if pid != launch.pid]
            assert processes
            launch.kill()
            launch.wait()
            for process in processes:
                assert select.select([process], [], [], PATIENCE_S)[0]
                os.close(process)
        finally:
            for pid in (launch.pid, *marked(mark)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            launch.wait()
            remove_orphans(domain)


def marked(mark: str) -> list[int]:
    """Living processes with this in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found
