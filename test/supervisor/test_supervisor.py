"""The supervisor with shell scripts in place of the package's executables."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from satllm_ros.acquisition.waiting import Reminder
from satllm_ros.constellation.processes import ProcessSpec
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.middleware.profile import QOS_FROM_XML_VARIABLE, Route
from satllm_ros.middleware.transports import PROFILE_VARIABLE, SEGMENT_BYTES, TRANSPORTS_VARIABLE
from satllm_ros.supervisor import child, supervisor
from satllm_ros.supervisor.parent import PARENT_VARIABLE, PLAN, READY, WORDS_VARIABLE

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

    def add(
        self,
        name: str,
        script: str,
        *,
        required: bool = False,
        without: str = "",
        executable: str | None = None,
        needs_plan: bool = False,
    ) -> None:
        file = self.executables / (executable or name)
        file.write_text(f"#!/bin/sh\necho $$ > {self.notes}/{name}.pid.new\n")
        file.write_text(file.read_text() + f"mv {self.notes}/{name}.pid.new {self.notes}/{name}.pid\n{script}\n")
        file.chmod(0o755)
        self.specs.append(
            ProcessSpec(name, file.name, "", {f"{name}/node": {"depth": 3}}, required, without, needs_plan)
        )

    def wait_for(self, *names: str) -> str:
        """Shell words that wait until these processes have said they run."""
        checks = " && ".join(f"[ -e {self.notes}/{name} ]" for name in names)
        return f"until {checks}; do sleep 0.01; done"

    def say_ready(self, name: str) -> str:
        """Shell words that say a process has set its traps."""
        return f"touch {self.notes}/{name}.ready"

    def tell(self, word: str) -> str:
        """Shell words with which a process tells the supervisor what it waits for, or that it is ready."""
        return f"echo '{word}' > /proc/self/fd/${WORDS_VARIABLE}"

    def count_lives(self, name: str) -> str:
        """Shell words that note another life of this process; `$life` is its number."""
        return f"echo life >> {self.notes}/{name}.lives; life=$(wc -l < {self.notes}/{name}.lives)"

    def wait_for_life(self, name: str, number: int) -> str:
        """Shell words that wait until a process began its n-th life."""
        file = f"{self.notes}/{name}.lives"
        return f"until [ -e {file} ] && [ $(wc -l < {file}) -ge {number} ]; do sleep 0.01; done"

    def wait_for_end(self, name: str) -> str:
        """Shell words that wait until the supervisor has seen a process end: until then it is a zombie."""
        file = f"{self.notes}/{name}.pid"
        return f"{self.wait_for(f'{name}.pid')}; while kill -0 $(cat {file}) 2>/dev/null; do sleep 0.01; done"

    def run(self, root: str = "", *, respawn: bool = False, whole: bool = True) -> int:
        return supervisor.run_graph(
            self.specs, root=root, run_directory=self.run_directory, respawn=respawn, whole=whole
        )

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
    monkeypatch.setattr(child, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(child, "LONGEST_PAUSE_S", 0.04)
    # On a busy computer a script may take seconds to begin.
    monkeypatch.setattr(supervisor, "Reminder", lambda: Reminder(1e9))
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


def test_a_full_disk_for_the_log_stops_nobody(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    log = graph.run_directory / "logs" / "worker.log"
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    # More than a pipe holds.
    much = "head -c 300000 /dev/zero | tr '\\0' '\\n'"
    graph.add("worker", f"{much}; echo '[ERROR] [w]: lens is dirty'; {much}; {graph.say_ready('worker')}; {FOREVER}")
    graph.add("ground", graph.wait_for("worker.ready"), required=True)
    assert graph.run() == 0
    told = capfd.readouterr().err.splitlines()
    assert told[0].startswith(f"satllm: output of worker is lost: {log} cannot be written: [Errno 28]")
    assert told[1:] == ["worker: [ERROR] [w]: lens is dirty"]


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


def test_information_is_left_out_of_the_last_lines(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    graph.add("ground", FOREVER, required=True)
    chatter = "; ".join(f"echo '[INFO] [1.0] [w]: {number}'" for number in range(30))
    graph.add("worker", f"{graph.wait_for('ground.pid')}; echo 'error: no film'; {chatter}; exit 4")
    assert graph.run() == 1
    told = capfd.readouterr().err
    assert "  error: no film\n" in told and "[INFO]" not in told


def test_information_is_shown_when_there_is_nothing_else(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    graph.add("ground", FOREVER, required=True)
    graph.add("worker", f"{graph.wait_for('ground.pid')}; echo '[INFO] [w]: going down'; exit 4")
    assert graph.run() == 1
    assert "  [INFO] [w]: going down\n" in capfd.readouterr().err


def test_the_graph_goes_on_without_a_process_that_can_be_spared(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.add("sat1", f"kill -9 $$; {FOREVER}", without="the others go on without it")
    graph.add("sat2", FOREVER, without="the others go on without it")
    graph.add("late", f"{graph.wait_for_end('sat1')}; exit 3", without="nobody minds")
    graph.add("ground", graph.wait_for_end("late"), required=True)
    assert graph.run() == 0
    told = capfd.readouterr().err.splitlines()
    log = graph.run_directory / "logs" / "sat1.log"
    assert told[0] == f"satllm: sat1 died (signal SIGKILL): the others go on without it; its log is {log}"
    assert told[1].startswith("satllm: late died (exit code 3): nobody minds")
    assert len(told) == 2 and graph.left() == []


def test_a_part_of_a_graph_goes_on_without_a_satellite_while_others_may_fly_elsewhere(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.add("sat1", "kill -9 $$", without="the others go on without it", executable="satellite")
    graph.add("ground", graph.wait_for_end("sat1"), required=True)
    assert graph.run(whole=False) == 0
    assert "no satellite is left" not in capfd.readouterr().err


def test_the_graph_ends_with_its_last_satellite(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("sat1", "sat2"):
        graph.add(name, "kill -9 $$", without="the others go on without it", executable="satellite")
    graph.add("ground", FOREVER, required=True)
    assert graph.run() == 1
    assert capfd.readouterr().err.splitlines()[-1] == "satllm: no satellite is left"
    assert graph.left() == []


@pytest.mark.parametrize("respawn", [False, True])
def test_bad_input_at_the_first_start_ends_the_graph(
    graph: Graph, capfd: pytest.CaptureFixture[str], respawn: bool
) -> None:
    graph.add("sat1", "echo 'error: no such codec'; exit 2", without="the others go on without it")
    graph.add("ground", FOREVER, required=True)
    assert graph.run(respawn=respawn) == 2
    told = capfd.readouterr().err
    assert "sat1 ended early with exit code 2" in told and "error: no such codec" in told


@pytest.mark.parametrize("end", ["kill -9 $$", "exit 1", "exit 0", "exit 2"])
def test_a_dead_process_is_started_again_with_the_same_arguments_and_log(
    graph: Graph, capfd: pytest.CaptureFixture[str], end: str
) -> None:
    script = f'{graph.count_lives("link")}; echo life $life: "$@"; [ $life -gt 3 ] && {FOREVER}'
    graph.add("link", f"{script}; [ $life -eq 1 ] && kill -9 $$; {end}")
    log = graph.run_directory / "logs" / "link.log"
    graph.add("ground", f"until grep -q 'life 4' {log}; do sleep 0.01; done", required=True)
    assert graph.run(respawn=True) == 0
    lives = log.read_text().splitlines()
    assert [life.split(": ")[0] for life in lives] == [f"life {number}" for number in (1, 2, 3, 4)]
    assert len({life.split(": ")[1] for life in lives}) == 1
    told = capfd.readouterr().err.splitlines()
    assert [line.partition("started again in ")[2].split(" ")[0] for line in told] == ["0.01", "0.02", "0.04"]
    assert graph.left() == []


def test_the_pause_is_short_again_after_a_long_life(
    graph: Graph, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "SETTLED_S", 0.0)
    graph.add("link", f"{graph.count_lives('link')}; [ $life -gt 3 ] && {FOREVER}; kill -9 $$")
    graph.add("ground", graph.wait_for_life("link", 4), required=True)
    assert graph.run(respawn=True) == 0
    assert capfd.readouterr().err.count("started again in 0.01 s") == 3


def test_a_ground_that_is_killed_is_started_again_and_its_normal_end_ends_the_graph(graph: Graph) -> None:
    graph.add("ground", f"{graph.count_lives('ground')}; [ $life -eq 1 ] && kill -9 $$; exit 7", required=True)
    graph.add("link", FOREVER)
    assert graph.run(respawn=True) == 7
    assert graph.left() == []


def test_a_signal_in_a_pause_ends_all(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "FIRST_PAUSE_S", 300.0)
    graph.add("link", f"{graph.count_lives('link')}; kill -9 $$")
    graph.add(
        "ground",
        f"{graph.wait_for_end('link')}; kill -{int(signal.SIGTERM)} $PPID; {FOREVER}",
        required=True,
    )
    assert graph.run(respawn=True) == 128 + signal.SIGTERM
    assert (graph.notes / "link.lives").read_text() == "life\n"
    assert graph.left() == []


def test_children_are_told_who_started_them(graph: Graph) -> None:
    graph.add("ground", f'[ "${PARENT_VARIABLE}" = {os.getpid()} ] && [ $PPID = {os.getpid()} ]', required=True)
    assert graph.run() == 0


def test_shared_memory_is_freed_at_start_after_a_death_and_at_the_end(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[int] = []
    monkeypatch.setattr(supervisor, "remove_orphans", freed.append)
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    graph.add("link", f"{graph.count_lives('link')}; [ $life -eq 1 ] && kill -9 $$; {FOREVER}")
    graph.add("ground", graph.wait_for_life("link", 2), required=True)
    assert graph.run(respawn=True) == 0
    assert freed == [42, 42, 42]


PLANNERS_WITHOUT = "the graph flies on under the active plan"


def test_warnings_are_echoed_and_repeated_ones_counted(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    dirty = 'for n in 1 2 3 4; do echo "[WARN] [$n.5] [w]: lens $n is dirty"; done'
    graph.add("worker", f"{dirty}; {graph.say_ready('worker')}; {FOREVER}")
    graph.add("ground", graph.wait_for("worker.ready"), required=True)
    assert graph.run() == 0
    assert capfd.readouterr().err.splitlines() == [
        "worker: [WARN] [1.5] [w]: lens 1 is dirty",
        "worker: [WARN] [4.5] [w]: lens 4 is dirty (said 3 times more)",
    ]


def test_a_dead_planner_without_a_plan_ends_the_graph(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    graph.add("sensing", FOREVER)
    graph.add("ground", FOREVER, required=True)
    reason = "echo 'Traceback'; echo 'RCLError: no folder for logs'"
    graph.add(
        "planner",
        f"{graph.wait_for('ground.pid')}; {reason}; exit 1",
        without=PLANNERS_WITHOUT,
        needs_plan=True,
    )
    assert graph.run() == 1
    told = capfd.readouterr().err.splitlines()
    assert told[0] == (
        "satllm: planner died (exit code 1: RCLError: no folder for logs) before a plan was active: "
        "nothing can fly without one"
    )
    assert not any(PLANNERS_WITHOUT in line for line in told)
    assert graph.left() == []


def test_a_dead_planner_with_a_plan_is_not_missed(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    graph.add("sensing", f"{graph.tell(PLAN)}; {graph.say_ready('sensing')}; {FOREVER}")
    graph.add("planner", f"{graph.wait_for('sensing.ready')}; kill -9 $$", without=PLANNERS_WITHOUT, needs_plan=True)
    graph.add("ground", graph.wait_for_end("planner"), required=True)
    assert graph.run() == 0
    assert f"planner died (signal SIGKILL): {PLANNERS_WITHOUT}" in capfd.readouterr().err


def test_a_dead_planner_is_not_missed_where_sensing_is_elsewhere(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.add("planner", "kill -9 $$", without=PLANNERS_WITHOUT, needs_plan=True)
    graph.add("ground", graph.wait_for_end("planner"), required=True)
    assert graph.run() == 0
    assert f"planner died (signal SIGKILL): {PLANNERS_WITHOUT}" in capfd.readouterr().err


def test_a_host_whose_only_process_died_has_nothing_to_watch(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    graph.add("planner", "kill -9 $$", without=PLANNERS_WITHOUT, needs_plan=True)
    assert graph.run() == 1
    assert capfd.readouterr().err.splitlines()[-1] == "satllm: no process is left"


def test_a_planner_that_comes_back_is_waited_for(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    graph.add("sensing", FOREVER)
    graph.add(
        "planner",
        f"{graph.count_lives('planner')}; [ $life = 1 ] && kill -9 $$; {FOREVER}",
        without=PLANNERS_WITHOUT,
        needs_plan=True,
    )
    graph.add("ground", graph.wait_for_life("planner", 2), required=True)
    assert graph.run(respawn=True) == 0
    told = capfd.readouterr().err
    assert "planner died (signal SIGKILL): nothing flies until it is back; it is started again in 0.01 s" in told


def test_who_is_not_ready_is_named_with_the_reason(
    graph: Graph, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "Reminder", lambda: Reminder(0.5))
    told: list[str] = []
    monkeypatch.setattr(supervisor, "_say", lambda sentence: (told.append(sentence), (graph.notes / "told").touch()))
    for name in ("sat1", "sat2"):
        graph.add(name, f"{graph.tell('stage: torch is still being imported')}; {FOREVER}")
    graph.add("deaf", FOREVER)
    graph.add("sensing", f"{graph.tell('sensing: looking')}; {graph.tell(READY)}; {FOREVER}")
    graph.add("ground", f"{graph.tell(READY)}; {graph.wait_for('told')}", required=True)
    assert graph.run() == 0
    assert told[0].startswith("not ready after ")
    assert told[0].endswith("s: sat1, sat2 (stage: torch is still being imported); deaf (still starting)")


def test_the_required_process_ends_last(graph: Graph) -> None:
    note = f"echo $me >> {graph.notes}/ends"
    for name in ("sat1", "sensing"):
        trap = f"trap 'sleep 0.2; me={name}; {note}; exit 0' INT; {graph.say_ready(name)}; {AWAKE}"
        graph.add(name, trap)
    ready = graph.wait_for("sat1.ready", "sensing.ready")
    graph.add("ground", f"trap 'me=ground; {note}; exit 0' INT; {ready}; kill -INT $PPID; {AWAKE}", required=True)
    assert graph.run() == 130
    ends = (graph.notes / "ends").read_text().split()
    assert sorted(ends) == ["ground", "sat1", "sensing"] and ends[-1] == "ground"


def test_processes_log_into_the_run_and_share_one_choice_of_transports(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROS_LOG_DIR", raising=False)
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    for name in ("fastdds.xml", "fastdds_udp.xml"):
        (graph.prefix / "share" / "satllm_ros" / "config" / name).touch()
    graph.add("worker", FOREVER)
    graph.add("ground", f"echo $ROS_LOG_DIR ${PROFILE_VARIABLE} > {graph.notes}/variables", required=True)
    for free, profile in ((2 * SEGMENT_BYTES, "fastdds.xml"), (2 * SEGMENT_BYTES - 1, "fastdds_udp.xml")):
        monkeypatch.setattr("satllm_ros.middleware.transports.free_bytes", lambda _, free=free: free)
        assert graph.run() == 0
        logs, path = (graph.notes / "variables").read_text().split()
        assert logs == str(graph.run_directory / "logs" / "ros")
        assert Path(path).name == profile


def test_processes_on_real_links_have_a_profile_each(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    monkeypatch.setenv(TRANSPORTS_VARIABLE, "UDPv4")
    variables = f"echo ${PROFILE_VARIABLE} ${QOS_FROM_XML_VARIABLE} > {graph.notes}"
    graph.add("worker", f"{variables}/worker.out; {FOREVER}")
    graph.add("ground", f"{graph.wait_for('worker.out')}; {variables}/ground.out", required=True)
    routes = {"worker": (Route("ground", ("ground/inbox/predictions",), LinkRates(2e6)),), "ground": ()}
    graph.specs = [replace(spec, routes=routes[spec.name]) for spec in graph.specs]
    assert graph.run("fleet") == 0
    for name in routes:
        path, switch = (graph.notes / f"{name}.out").read_text().split()
        assert switch == "1" and Path(path) == graph.run_directory / "middleware" / f"{name}.xml"
        assert ("/fleet/ground/inbox/predictions" in Path(path).read_text()) == (name == "worker")


def test_a_profile_of_the_users_own_on_real_links_is_told(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PROFILE_VARIABLE, "mine.xml")
    graph.add("ground", f"echo ${PROFILE_VARIABLE} > {graph.notes}/profile", required=True)
    graph.specs = [replace(graph.specs[0], routes=(Route("sat1", ("sat1/inbox/images",), LinkRates(2e6)),))]
    assert graph.run() == 0
    assert (graph.notes / "profile").read_text() == "mine.xml\n"
    assert "unless that profile limits batches below the links' rates" in capfd.readouterr().err
