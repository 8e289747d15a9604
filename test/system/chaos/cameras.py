"""A live camera, whose images exist once: what dies with sensing, and what a durable custody keeps."""

import signal
from dataclasses import replace

import numpy as np
from chaos.hangar import Hangar
from chaos.judge import Result
from chaos.rig import Rig
from chaos.workshop import Cargo
from satllm_ros.msg import Ledger
from sensor_msgs.msg import Image
from tiny_material import SIDE, picture

from satllm_ros import interfaces as graph

# Slow enough for images to pile up.
SLOW_BLOCK_S = 0.1
# Fewer than a camera's topic holds.
BURST = 4


class Camera:
    """Publishes pictures, a few once those before were acquired: a camera's topic is not reliable."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._voice = rig.observer.voice(graph.IMAGE)
        self._first_ns = rig.observer.node.get_clock().now().nanoseconds
        self.stamps: list[int] = []

    @property
    def acquired(self) -> int:
        """Tiles acquired by the present life of sensing."""
        return self._rig.ledgers[-1].acquired_tiles if self._rig.ledgers else 0

    def show(self, images: int) -> None:
        """Take so many pictures."""
        for first in range(0, images, BURST):
            self._show([self._next() for _ in range(min(BURST, images - first))])

    def _next(self) -> Image:
        number = len(self.stamps)
        message = Image(height=SIDE, width=SIDE, encoding="rgb8", step=SIDE * 3, data=picture(number).tobytes())
        stamp_ns = self._first_ns + number
        self.stamps.append(stamp_ns)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        return message

    def _show(self, messages: list[Image]) -> None:
        wanted = self.acquired + len(messages)
        while self.acquired < wanted:
            # Again if one was lost: sensing knows an image by its stamp, and takes it once.
            for message in messages:
                self._voice.publish(message)
            enough = len(self._rig.ledgers) + 3
            self._rig.until(
                lambda: self.acquired >= wanted or len(self._rig.ledgers) >= enough,  # noqa: B023
                "sensing to report",
            )


def killed_with_a_camera(hangar: Hangar, scenario: str, *, images: int, durable: bool) -> Result:
    """Sensing is killed while it holds images of a live camera, and started again.

    Batches under way may still come down, so that what the next life calls lost is the most that is lost.
    """
    base = hangar.workshop.cargo(1)
    changes = {"source": {"kind": "topic"}, "durable_custody": durable}
    with hangar.fly(base, "--respawn", block_s=SLOW_BLOCK_S, **changes) as rig:
        camera = Camera(rig)
        camera.show(images)
        life = rig.ledgers[-1].boot_id
        fault_s = rig.kill("sensing")
        rig.until(lambda: rig.ledgers[-1].boot_id != life, "sensing to live again")
        said = rig.ledgers[-1].lost_tiles
        camera.show(images)
        recovery_s = rig.until_recovered(fault_s)
        rig.until(lambda: _is_settled(rig.ledgers[-1]), "everything to be delivered")
        code = rig.interrupt()
        classes = hangar.workshop.classify(np.stack([picture(number) for number in range(len(camera.stamps))]))
        cargo = Cargo(base.material, dict(zip(camera.stamps, classes, strict=True)))
        result = rig.result(
            scenario,
            cargo,
            code,
            expected_code=128 + signal.SIGINT,
            losses_told=said,
            recovery_s=recovery_s,
            note=f"the next life said that {said} tiles were lost",
        )
        if durable and said:
            return replace(result, complaints=(*result.complaints, f"{said} tiles lost from a durable custody"))
        return result


def _is_settled(ledger: Ledger) -> bool:
    return ledger.delivered_tiles + ledger.dropped_tiles == ledger.acquired_tiles
