"""One recorded plan and one recorded activation, played into a single satellite: docs/debugging.md."""

from pathlib import Path

from flight import constellation, started, up, write_constellation
from observer import Observer
from tiny_material import Material

from satllm_ros import interfaces as graph
from satllm_ros.assets.share import share_directory


def test_a_recorded_activation_gives_the_same_payload_again(material: Material, tmp_path: Path) -> None:
    flown, alone = tmp_path / "flown", tmp_path / "alone"
    flown.mkdir()
    alone.mkdir()
    # The second of three: what comes in and what goes out are both compressed.
    config = write_constellation(flown, constellation(material, (0.05, 0.05, 0.05), codecs=["int8"]))
    with started(up(config), flown) as flight, Observer(flight) as observer:
        proposed, active = observer.hear(graph.PLAN_PROPOSED), observer.hear(graph.PLAN_ACTIVE)
        came, went = observer.hear(graph.ACTIVATION_INBOX, "sat2"), observer.hear(graph.ACTIVATION_INBOX, "sat3")
        observer.until(lambda: came and went and proposed and active, "a batch through sat2")
        batch = came[0].envelope.batch
        observer.until(lambda: any(message.envelope.batch == batch for message in went), "the same batch at sat3")
        payload = next(message.payload for message in went if message.envelope.batch == batch)
        assert [s.satellite for s in active[0].stages] == ["sat1", "sat2", "sat3"]
        parameters = flight.latest.resolve() / "parameters" / "sat2.yaml"
    program = share_directory().parents[1] / "lib" / "satllm_ros" / "satellite"
    command = [program, "--ros-args", "--params-file", parameters, "-r", "__ns:=/sat2"]
    with started(command, alone) as satellite, Observer(satellite) as observer:
        statuses, out = observer.hear(graph.STATUS, "sat2"), observer.hear(graph.ACTIVATION_OUTBOX, "sat2")
        plans = observer.voice(graph.PLAN_PROPOSED), observer.voice(graph.PLAN_ACTIVE)
        observer.until(lambda: statuses, "the satellite to be ready")
        for voice, plan in zip(plans, (proposed[0], active[0]), strict=True):
            voice.publish(plan)
        observer.until(lambda: statuses[-1].served_hashes, "the plan to be on board")
        inbox = observer.voice(graph.ACTIVATION_INBOX, "sat2")
        observer.until(inbox.get_subscription_count, "the satellite to listen")
        inbox.publish(came[0])
        observer.until(lambda: out, "what it makes of the activation")
    assert bytes(out[0].payload) == bytes(payload)
