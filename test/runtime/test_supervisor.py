"""The supervisor with shell scripts in place of the package's executables."""

import os
import signal
from pathlib import Path

import pytest

from satllm_ros.graph import ProcessSpec
from satllm_ros.runtime import supervisor

pytestmark = pytest.mark.skipif(not Path("/bin/sh").exists(), reason="needs a shell")


class Graph:
    """A fake installation, and a graph of processes from it."""

    def __init__(self, folder: Path) -> None:
        self.prefix, self.run_directory = folder / "prefix", folder / "run"
        self.executables = self.prefix / "lib" / "satllm_ros"
        self.executables.mkdir(parents=True)
        (self.prefix / "share" / "satllm_ros" / "config").mkdir(parents=True)
        self.notes = folder / "notes"
        self.notes.mkdir()
        self.specs: list[ProcessSpec] = []

    def add(self, name: str, script: str, *, namespace: str = "", required: bool = False) -> None:
        file = self.executables / name
        file.write_text(f"#!/bin/sh\necho $$ > {self.notes}/{name}.pid.new\n")
        file.write_text(file.read_text() + f"mv {self.notes}/{name}.pid.new {self.notes}/{name}.pid\n{script}\n")
        file.chmod(0o755)
        self.specs.append(ProcessSpec(name, name, namespace, {f"{name}/node": {"depth": 3}}, required))

    def wait_for(self, *names: str) -> str:
        """Shell words that wait until these processes have said they run."""
        checks = " && ".join(f"[ -e {self.notes}/{name} ]" for name in names)
        return f"until {checks}; do sleep 0.01; done"

    def say_ready(self, name: str) -> str:
        """Shell words that say a process has set its traps."""
        return f"touch {self.notes}/{name}.ready"

    def run(self, root: str = "") -> int:
        return supervisor.run_graph(self.specs, root=root, run_directory=self.run_directory)

    def left(self) -> list[str]:
        """Processes that are still there."""
        return [file.stem for file in self.notes.glob("*.pid") if is_alive(int(file.read_text()))]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Graph:
    made = Graph(tmp_path)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(made.prefix))
    return made


FOREVER = "exec sleep 300"
# As long, but awake for traps.
AWAKE = "while :; do sleep 0.02; done"


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_exit_code_is_the_required_processs(graph: Graph, code: int) -> None:
    graph.add("worker", FOREVER)
    graph.add("ground", f"{graph.wait_for('worker.pid')}; exit {code}", required=True)
    assert graph.run() == code
    assert graph.left() == []


def test_a_required_process_that_is_killed_is_a_failure(graph: Graph) -> None:
    graph.add("ground", "kill -9 $$", required=True)
    assert graph.run() == 1


@pytest.mark.parametrize(
    ("end", "how"), [("exit 5", "exit code 5"), ("exit 0", "exit code 0"), ("kill -11 $$", "signal SIGSEGV")]
)
def test_a_dead_process_is_reported_with_its_last_lines(
    graph: Graph, capfd: pytest.CaptureFixture[str], end: str, how: str
) -> None:
    graph.add("ground", FOREVER, required=True)
    graph.add("other", FOREVER)
    lines = "; ".join(f"echo line {number}" for number in range(30))
    ready = graph.wait_for("ground.pid", "other.pid")
    graph.add("worker", f"{ready}; {lines}; echo last words >&2; {end}")
    assert graph.run() == 1
    told = capfd.readouterr().err
    assert f"worker ended early with {how}" in told
    assert "last words" in told and "line 29" in told and "line 3\n" not in told
    assert graph.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_and_gives_the_shells_code(graph: Graph, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    names = [f"worker{place}" for place in range(3)]
    for name in names:
        graph.add(name, f"trap 'touch {graph.notes}/{name}.clean; exit 0' INT; {graph.say_ready(name)}; {AWAKE}")
    graph.add(
        "ground",
        f"{graph.wait_for(*(f'{n}.ready' for n in names))}; kill -{int(number)} $PPID; {FOREVER}",
        required=True,
    )
    assert graph.run() == 128 + number
    assert graph.left() == []
    assert sorted(file.stem for file in graph.notes.glob("*.clean")) == names
    assert signal.getsignal(number) is before


def test_who_ignores_sigint_gets_sigterm_and_then_sigkill(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "PATIENCE_S", (0.2, 0.2))
    ready = graph.say_ready("stubborn")
    graph.add("stubborn", f"trap 'touch {graph.notes}/terminated; exit 0' TERM; trap '' INT; {ready}; {AWAKE}")
    graph.add("deaf", f"trap '' INT TERM; {graph.say_ready('deaf')}; {FOREVER}")
    graph.add("ground", graph.wait_for("stubborn.ready", "deaf.ready"), required=True)
    assert graph.run() == 0
    assert graph.left() == []
    assert (graph.notes / "terminated").exists()
    told = capfd.readouterr().err
    assert "deaf does not end; killing it" in told and "stubborn does not end" not in told


def test_errors_of_others_are_echoed_and_everything_is_logged(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    graph.add("worker", f"echo '[INFO] [w]: all well'; echo '[ERROR] [w]: lens is dirty' >&2; {FOREVER}")
    log = graph.run_directory / "logs" / "worker.log"
    graph.add("ground", f"until grep -q dirty {log}; do sleep 0.01; done; echo the report", required=True)
    assert graph.run() == 0
    told = capfd.readouterr()
    assert told.err.splitlines() == ["worker: [ERROR] [w]: lens is dirty"]
    assert told.out == "the report\n"
    assert log.read_text().splitlines() == ["[INFO] [w]: all well", "[ERROR] [w]: lens is dirty"]


def test_output_that_is_no_text_is_logged_too(graph: Graph) -> None:
    graph.add("worker", rf"printf '\377\376 noise\n'; {FOREVER}")
    log = graph.run_directory / "logs" / "worker.log"
    graph.add("ground", f"until grep -q noise {log}; do sleep 0.01; done", required=True)
    assert graph.run() == 0


def test_each_process_gets_its_namespace_and_parameters(graph: Graph) -> None:
    graph.add(
        "worker",
        f'echo "$@" > {graph.notes}/arguments.new; mv {graph.notes}/arguments.new {graph.notes}/arguments; {FOREVER}',
    )
    graph.specs[-1] = ProcessSpec("worker", "worker", "sat1", {"sat1/stage": {"threads": 2}})
    graph.add("ground", graph.wait_for("arguments"), required=True)
    assert graph.run(root="/mission/a/") == 0
    arguments = (graph.notes / "arguments").read_text().split()
    parameters = graph.run_directory / "parameters" / "worker.yaml"
    assert arguments == ["--ros-args", "--params-file", str(parameters), "-r", "__ns:=/mission/a/sat1"]
    assert "/mission/a/sat1/stage" in parameters.read_text()


def test_processes_find_the_package_where_another_distribution_is_sourced(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "ros"))
    monkeypatch.setattr("sys.prefix", str(graph.prefix))
    graph.add("ground", f"echo $AMENT_PREFIX_PATH > {graph.notes}/path", required=True)
    assert graph.run() == 0
    assert (graph.notes / "path").read_text().split()[0].split(":") == [str(graph.prefix), str(tmp_path / "ros")]


def test_a_missing_executable_ends_what_was_started(graph: Graph) -> None:
    graph.add("worker", FOREVER)
    graph.specs.append(ProcessSpec("ghost", "ghost", ""))
    with pytest.raises(FileNotFoundError, match="ghost"):
        graph.run()
    assert graph.left() == []
