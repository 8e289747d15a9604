"""Single processes of the graph under a lifecycle manager, and how each of them ends on a signal."""

import signal
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus
from flight import constellation, started, write_constellation
from lifecycle_msgs.msg import State, Transition
from observer import Observer
from ros_domain import own_domain
from tiny_material import Material

from satllm_ros import interfaces as graph
from satllm_ros.assets.share import PACKAGE, share_directory
from satllm_ros.constellation.file import load_constellation
from satllm_ros.constellation.processes import ProcessSpec, processes

NODES = ("sat1/stage", "sat1/compression", "sat1/downlink")
CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE, CLEANUP = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP


def specs(material: Material, folder: Path) -> dict[str, ProcessSpec]:
    """Processes of a graph of one satellite, by name."""
    config = write_constellation(folder, constellation(material, (0.01,)))
    return {spec.name: spec for spec in processes(load_constellation(config), folder, exit_when_done=False)}


def command(spec: ProcessSpec, folder: Path) -> list[str]:
    """Command line of one process of a graph."""
    program = share_directory().parents[1] / "lib" / PACKAGE / spec.executable
    parameters = spec.write_parameters(folder, "")
    return [str(program), "--ros-args", "--params-file", str(parameters), "-r", f"__ns:=/{spec.namespace}"]


def test_satellite_obeys_a_lifecycle_manager(material: Material, tmp_path: Path) -> None:
    spec = specs(material, tmp_path)["sat1"]
    manual = replace(spec, parameters={n: {**p, "autostart": False} for n, p in spec.parameters.items()})
    with started(command(manual, tmp_path), tmp_path) as flight, Observer(flight) as observer:

        def do(transition: int, *nodes: str) -> None:
            for node in nodes:
                assert observer.transition(node, transition), f"{node} refused {transition}\n{flight.story()}"

        def states() -> set[int]:
            return {observer.state(node).id for node in NODES}

        observer.until(lambda: states() == {State.PRIMARY_STATE_UNCONFIGURED}, "the nodes to start")
        assert not observer.transition("sat1/stage", ACTIVATE)
        assert not observer.transition("sat1/compression", CONFIGURE)
        assert "cannot configure yet: the stage is not configured" in flight.errors

        do(CONFIGURE, *NODES)
        # Configuring has started the import of torch, which takes seconds: until then the stage waits, and says so.
        assert not observer.transition("sat1/stage", ACTIVATE)
        assert "cannot activate yet: torch is still being imported" in flight.errors
        observer.until(
            lambda: "torch is still" in observer.diagnostics.get("/sat1/stage", DiagnosticStatus()).message,
            "the reason in /diagnostics",
        )
        assert observer.diagnostics["/sat1/stage"].level == DiagnosticStatus.WARN
        observer.until(lambda: observer.transition("sat1/stage", ACTIVATE), "the stage to be activated")
        do(ACTIVATE, "sat1/compression", "sat1/downlink")
        assert states() == {State.PRIMARY_STATE_ACTIVE}

        # The stage may go away and come back below an active compression node.
        do(DEACTIVATE, "sat1/stage")
        do(CLEANUP, "sat1/stage")
        do(CONFIGURE, "sat1/stage")
        observer.until(lambda: observer.transition("sat1/stage", ACTIVATE), "the stage to be activated again")

        do(DEACTIVATE, *NODES)
        do(ACTIVATE, *NODES)
        do(DEACTIVATE, *NODES)
        do(CLEANUP, "sat1/compression", "sat1/downlink", "sat1/stage")
        assert states() == {State.PRIMARY_STATE_UNCONFIGURED}
        do(CONFIGURE, *NODES)
        observer.until(lambda: observer.transition("sat1/stage", ACTIVATE), "the stage to be activated after cleanup")
        do(ACTIVATE, "sat1/compression", "sat1/downlink")

        do(DEACTIVATE, "sat1/downlink")
        do(CLEANUP, "sat1/downlink")
        do(DEACTIVATE, "sat1/compression")
        do(Transition.TRANSITION_ACTIVE_SHUTDOWN, "sat1/stage")
        do(Transition.TRANSITION_INACTIVE_SHUTDOWN, "sat1/compression")
        do(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, "sat1/downlink")
        assert states() == {State.PRIMARY_STATE_FINALIZED}

        flight.process.send_signal(signal.SIGTERM)
        assert observer.until_ended() == 0, flight.story()
        assert "Traceback" not in flight.errors


def test_every_process_ends_well_on_a_signal(material: Material, tmp_path: Path) -> None:
    signals = {"sat1": signal.SIGINT, "link": signal.SIGTERM, "planner": signal.SIGINT}
    signals |= {"ground": signal.SIGTERM, "sensing": signal.SIGINT}
    all_specs = specs(material, tmp_path)
    with ExitStack() as stack:
        domain = stack.enter_context(own_domain())
        flights = {}
        for name in signals:
            folder = tmp_path / name
            folder.mkdir()
            flights[name] = stack.enter_context(started(command(all_specs[name], folder), folder, domain))
        observer = stack.enter_context(Observer(flights["sat1"]))
        plans = observer.hear(graph.PLAN_ACTIVE)
        observer.until(lambda: plans, "a plan that all agree on")
        for name, flight in flights.items():
            flight.process.send_signal(signals[name])
        observer.until_ended()
        for flight in flights.values():
            assert flight.wait() == 0, flight.story()
            assert "Traceback" not in flight.errors
        observer.close()
        for flight in flights.values():
            assert flight.left_behind() == ([], [])
