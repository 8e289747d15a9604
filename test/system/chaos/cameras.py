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


class Camera:
    """Publishes pictures, each once the one before was acquired: a camera's topic is not reliable.

    All carry one stamp, if `stamp_ns` is given, else stamps that rise.
    """

    def __init__(self, rig: Rig, stamp_ns: int | None = None) -> None:
        self._rig = rig
        self._voice = rig.observer.voice(graph.IMAGE)
        self._first_ns = rig.observer.node.get_clock().now().nanoseconds if stamp_ns is None else stamp_ns
        self._step_ns = 1 if stamp_ns is None else 0
        self.shown = 0
        # Number of the picture by (source, frame).
        self.frames: dict[tuple[str, int], int] = {}

    @property
    def acquired(self) -> int:
        """Tiles acquired by the present life of sensing from its camera, not those it took up."""
        return self._rig.ledgers[-1].acquired_tiles - self._taken_up if self._rig.ledgers else 0

    def begin_life(self) -> None:
        """Sensing has begun anew: what it has acquired before the first image are tiles that it took up."""
        self._taken_up = self._rig.ledgers[-1].acquired_tiles

    _taken_up = 0

    def show(self, images: int) -> None:
        """Take so many pictures."""
        for _ in range(images):
            self._show(self.shown)
            self.shown += 1

    def _show(self, number: int) -> None:
        message = Image(height=SIDE, width=SIDE, encoding="rgb8", step=SIDE * 3, data=picture(number).tobytes())
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(self._first_ns + number * self._step_ns, 10**9)
        before = self.acquired
        while self.acquired == before:
            # Again if it was lost; if it was only late, it is two images to sensing, and both must come down.
            self._voice.publish(message)
            enough = len(self._rig.ledgers) + 5
            self._rig.until(
                lambda: self.acquired > before or len(self._rig.ledgers) >= enough,  # noqa: B023
                "sensing to report",
            )
        source = self._rig.ledgers[-1].source
        self.frames |= {(source, frame): number for frame in range(before + 1, self.acquired + 1)}

    def cargo(self, hangar: Hangar, base: Cargo) -> Cargo:
        """What had to come down."""
        classes = hangar.workshop.classify(np.stack([picture(number) for number in range(self.shown)]))
        return Cargo(base.material, {frame: classes[number] for frame, number in self.frames.items()})


def one_stamp(hangar: Hangar, scenario: str, *, images: int, stamp_ns: int) -> Result:
    """Every image of a camera carries the same stamp; each is an image of its own all the same."""
    base = hangar.workshop.cargo(1)
    with hangar.fly(base, **{"source": {"kind": "topic"}}) as rig:
        camera = Camera(rig, stamp_ns)
        camera.show(images)
        rig.until(lambda: _is_settled(rig.ledgers[-1]), "everything to be delivered")
        code = rig.interrupt()
        return rig.result(scenario, camera.cargo(hangar, base), code, expected_code=128 + signal.SIGINT)


def killed_with_a_camera(hangar: Hangar, scenario: str, *, images: int, durable: bool) -> Result:
    """Sensing is killed while it holds images of a live camera, and started again.

    Batches under way may still come down, so that what the next life calls lost is the most that is lost.
    """
    base = hangar.workshop.cargo(1)
    changes = {"source": {"kind": "topic"}, "durable_custody": durable}
    with hangar.fly(base, "--respawn", block_s=SLOW_BLOCK_S, **changes) as rig:
        camera = Camera(rig)
        camera.show(images)
        if durable:
            # What has not become a batch yet would be lost, and told.
            rig.until(lambda: _at_risk(rig) == 0, "every image to be in custody")
        life = rig.ledgers[-1].boot_id
        fault_s = rig.kill("sensing")
        rig.until(lambda: rig.ledgers[-1].boot_id != life, "sensing to live again")
        said = rig.ledgers[-1].lost_tiles
        camera.begin_life()
        camera.show(images)
        recovery_s = rig.until_recovered(fault_s)
        rig.until(lambda: _is_settled(rig.ledgers[-1]), "everything to be delivered")
        code = rig.interrupt()
        result = rig.result(
            scenario,
            camera.cargo(hangar, base),
            code,
            expected_code=128 + signal.SIGINT,
            losses_told=said,
            recovery_s=recovery_s,
            note=f"the next life said that {said} tiles were lost",
        )
        if durable and said:
            return replace(result, complaints=(*result.complaints, f"{said} tiles lost from a durable custody"))
        return result


def _at_risk(rig: Rig) -> int:
    """Tiles that would be lost if sensing were killed now, by its own books."""
    return int.from_bytes((rig.flight.latest / "sensing.journal").read_bytes()[-8:], "little")


def _is_settled(ledger: Ledger) -> bool:
    return ledger.delivered_tiles + ledger.dropped_tiles == ledger.acquired_tiles
