"""Images that somebody publishes and whose number is known, as a bag that is played: the flight ends, and nothing that
was not heard is called complete."""

import json
from pathlib import Path

import pytest
from flight import constellation, started, up, write_constellation
from observer import Observer
from sensor_msgs.msg import Image
from tiny_material import SIDE, Material, picture

from satllm_ros import interfaces as graph

EXPECTED = 10


@pytest.mark.parametrize(
    ("played", "exit_code", "said"),
    [
        (EXPECTED, 0, f"COMPLETE: all {EXPECTED} tiles"),
        (EXPECTED - 3, 1, "images of the source neither acquired nor dropped: 3"),
    ],
)
def test_a_stream_of_known_length_ends_and_says_what_is_missing(
    material: Material, tmp_path: Path, played: int, exit_code: int, said: str
) -> None:
    content = constellation(material, (0.01, 0.01), batch_tiles=4)
    content["source"] = {"kind": "topic", "expected_images": EXPECTED}
    with started(up(write_constellation(tmp_path, content)), tmp_path) as flight, Observer(flight) as observer:
        plans, ledgers = observer.hear(graph.PLAN_ACTIVE), observer.hear(graph.LEDGER)
        camera = observer.voice(graph.IMAGE)
        observer.until(lambda: plans and camera.get_subscription_count(), "sensing to listen, with a plan")
        for number in range(played):
            message = Image(height=SIDE, width=SIDE, encoding="rgb8", step=SIDE * 3, data=picture(number).tobytes())
            camera.publish(message)
            observer.until(lambda: ledgers[-1].acquired_tiles > number, "an image to be acquired")  # noqa: B023
        observer.node.destroy_publisher(camera)
        assert observer.until_ended() == exit_code, flight.story()
        assert said in " ".join(flight.output.split())
        summary = json.loads((flight.latest / "summary.json").read_text())
        assert summary["complete"] is (exit_code == 0) and summary["tiles"]["received"] == played
