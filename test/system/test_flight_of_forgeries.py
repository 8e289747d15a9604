"""Junk on every inbox while a bag flies: counted by cause, refused, and no tile is the worse for it."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from flight import constellation, started, up, write_constellation
from observer import Observer
from tiny_material import CLASSES, SIDE, Material, encoded, picture

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.compression.codec import encode
from satllm_ros.compression.tables.artefacts import Artefacts, load_artefacts
from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.checksum import seal
from satllm_ros.protocol.identity import BatchId, Envelope, Epoch
from satllm_ros.protocol.plan import Plan, Stage

BLOCK_S = (0.06, 0.06, 0.06)
TILES = 2
RAW = CodecSetting(Codec.RAW)
NAN = float("nan")


@dataclass(frozen=True)
class Forger:
    """Makes messages as a satellite of the graph would, to be spoilt."""

    plan: Plan
    spec: ModelSpec
    artefacts: Artefacts
    run_id: int
    # Each message is of a batch of its own: a second copy of one is passed over.
    sequences: Iterator[int] = field(default_factory=itertools.count)

    @property
    def cut(self) -> int:
        """The cut where the second satellite starts."""
        return self.plan.stages[1].start

    def envelope(self, destination: str, **changes: Any) -> Envelope:
        """Envelope of a batch of a sensing node that does not exist."""
        true = Envelope(
            batch=BatchId(boot_id=666, sequence=next(self.sequences)),
            sender=self.plan.source,
            destination=destination,
            epoch=self.plan.epoch,
            plan_hash=self.plan.plan_hash,
            low_water=self.plan.epoch,
            model_id=self.spec.model_id,
            run_id=self.run_id,
            source_id="forged",
            frames=tuple(range(TILES)),
            tile_indices=(0,) * TILES,
        )
        return replace(true, **changes)

    def activation(
        self, *, tokens: int = 0, payload: bytes = b"", cut: int | None = None, **changes: Any
    ) -> m.CompressedActivation:
        """Activation for the second satellite, sealed after the changes to its envelope."""
        values = np.zeros((TILES, self.spec.tokens + tokens, self.spec.width), dtype=np.float32)
        cut = self.cut if cut is None else cut
        frame = payload or encode(values, RAW, self.artefacts, self.cut)
        envelope = self.envelope(**{"destination": "sat2"} | changes)
        return m.CompressedActivation(
            envelope=convert.envelope_to(envelope),
            cut=cut,
            shape=list(values.shape),
            setting=convert.setting_to(RAW),
            artefact_id=self.artefacts.artefact_id,
            crc32=seal(envelope, cut, frame),
            payload=convert.to_bytes(frame),
        )

    def images(self, tiles: list[bytes], sizes: list[int] | None = None, **changes: Any) -> m.ImageBatch:
        """Batch for the first satellite."""
        envelope, data = self.envelope("sat1"), b"".join(tiles)
        fields = {"encoding": m.ImageBatch.ENCODING_JPEG, "height": SIDE, "width": SIDE} | changes
        return m.ImageBatch(
            envelope=convert.envelope_to(envelope),
            tile_bytes=sizes or [len(tile) for tile in tiles],
            crc32=seal(envelope, 0, data),
            data=convert.to_bytes(data),
            **fields,
        )

    def predictions(self, logits: np.ndarray | None = None, **changes: Any) -> m.Predictions:
        """Predictions for the ground."""
        logits = np.zeros((TILES, len(CLASSES)), np.float32) if logits is None else logits
        return convert.predictions_to(
            self.envelope(**{"destination": graph.GROUND} | changes), m.Predictions().header, logits
        )


def spoilt(message: Any, spoil: Callable[[Any], None]) -> Any:
    """The message after something was done to it that its seal does not cover, or should."""
    spoil(message)
    return message


def forged_activations(forger: Forger) -> dict[str, list[m.CompressedActivation]]:
    """Messages for the inbox of the second satellite, by the counter that each must raise."""
    raw = bytes(
        encode(np.zeros((TILES, forger.spec.tokens, forger.spec.width), np.float32), RAW, forger.artefacts, forger.cut)
    )
    return {
        "refused_bad_crc": [
            spoilt(forger.activation(), lambda a: setattr(a, "crc32", a.crc32 ^ 1)),
            spoilt(forger.activation(), lambda a: a.payload.__setitem__(40, a.payload[40] ^ 0xFF)),
            spoilt(forger.activation(), lambda a: setattr(a.envelope, "source_id", "somebody else")),
        ],
        "refused_malformed": [
            forger.activation(payload=b"junk"),
            forger.activation(payload=raw[:-5]),
            forger.activation(payload=raw + b"more"),
            forger.activation(payload=b"\xff" * len(raw)),
            forger.activation(tokens=1),
            forger.activation(tokens=-1),
            forger.activation(model_id="0" * 16),
            forger.activation(cut=forger.cut + 1),
            forger.activation(cut=0),
            forger.activation(frames=(1, 2, 3), tile_indices=(0, 0, 0)),
        ],
        "refused_unknown_epoch": [
            forger.activation(epoch=Epoch(2**64 - 1, 2**64 - 1)),
            forger.activation(plan_hash="0" * 16),
        ],
        "misrouted": [forger.activation(destination="sat3"), forger.activation(destination="nobody")],
        "malformed": [
            forger.activation(frames=(), tile_indices=()),
            forger.activation(frames=(1, 2), tile_indices=(0,)),
            forger.activation(frames=(1,) * 5000, tile_indices=(0,) * 5000),
        ],
    }


def forged_images(forger: Forger) -> dict[str, list[m.ImageBatch]]:
    """Messages for the inbox of the first satellite."""
    tile = encoded(picture(1))
    large = encoded(picture(1, 2 * SIDE, 2 * SIDE))
    rgb = picture(1).tobytes()
    return {
        "refused_bad_crc": [spoilt(forger.images([tile] * TILES), lambda i: setattr(i, "crc32", i.crc32 ^ 1))],
        "refused_malformed": [
            forger.images([tile, b"not a JPEG file"]),
            forger.images([tile, large]),
            forger.images([tile, tile[:60]]),
            forger.images([tile] * TILES, sizes=[len(tile), 2**32 - 1]),
            forger.images([tile], sizes=[len(tile)]),
            forger.images([tile] * TILES, encoding=7),
            forger.images([tile] * TILES, height=0),
            forger.images([tile] * TILES, width=2**32 - 1),
            forger.images([rgb, rgb[:-3]], encoding=m.ImageBatch.ENCODING_RGB8),
        ],
    }


def forged_predictions(forger: Forger) -> dict[str, list[m.Predictions]]:
    """Messages for the inbox of the ground."""
    return {
        "refused_bad_crc": [
            spoilt(forger.predictions(), lambda p: setattr(p, "crc32", p.crc32 ^ 1)),
            spoilt(forger.predictions(), lambda p: p.logits.__setitem__(0, 1.0)),
        ],
        "refused_malformed": [
            forger.predictions(np.full((TILES, len(CLASSES)), np.nan, np.float32)),
            forger.predictions(frames=(), tile_indices=()),
            spoilt(forger.predictions(), lambda p: setattr(p, "classes", 2**32 - 1)),
            spoilt(forger.predictions(), lambda p: setattr(p, "classes", 0)),
            spoilt(forger.predictions(), lambda p: setattr(p, "labels", [0])),
            spoilt(forger.predictions(), lambda p: setattr(p, "labels", [2**32 - 1] * TILES)),
        ],
        "refused_foreign": [
            forger.predictions(model_id="0" * 16),
            forger.predictions(run_id=forger.run_id ^ 1),
            forger.predictions(np.zeros((TILES, len(CLASSES) + 1), np.float32)),
        ],
        "misrouted": [forger.predictions(destination="sat1"), forger.predictions(destination="")],
    }


def forged_plans(forger: Forger) -> list[m.Plan]:
    """Plans newer than the true one that nobody may obey."""
    first, second, third = forger.plan.stages
    newer = replace(forger.plan, epoch=Epoch(forger.plan.epoch.incarnation + 7, 1), planner_id="/forger")
    unsound = [
        replace(newer, stages=(first, third)),
        replace(newer, stages=(first, second)),
        replace(newer, stages=()),
        replace(newer, stages=(*forger.plan.stages, Stage("sat1", 4, 5, RAW))),
        replace(newer, stages=(first, replace(second, satellite="nobody"), third)),
        replace(newer, downlink="nobody"),
        replace(newer, accuracy_floor=NAN),
        replace(newer, model_id="0" * 16),
        replace(forger.plan, downlink="sat1"),
    ]
    stamp = m.Plan().header.stamp
    messages = [convert.plan_to(plan.sealed(), stamp) for plan in unsound]
    unsealed = convert.plan_to(replace(newer, plan_hash="0" * 16), stamp)
    unknown_codec = convert.plan_to(newer.sealed(), stamp)
    unknown_codec.stages[0].setting.codec = 9
    return [*messages, unsealed, unknown_codec]


def forged_acks(sensing_boot: int) -> dict[str, list[m.BatchAck]]:
    """Acknowledgements that change nothing."""
    delivered = {"sender": "forger", "verdict": m.BatchAck.DELIVERED}
    refused = {"sender": graph.GROUND, "verdict": m.BatchAck.REFUSED, "cause": m.BatchAck.CAUSE_FOREIGN}
    return {
        "malformed_ack": [m.BatchAck(verdict=9), m.BatchAck(verdict=m.BatchAck.REFUSED, cause=99)],
        "foreign_ack": [
            m.BatchAck(batch=m.BatchId(boot_id=666), **delivered),
            m.BatchAck(batch=m.BatchId(boot_id=sensing_boot, sequence=2**63), **delivered),
            m.BatchAck(batch=m.BatchId(boot_id=sensing_boot, sequence=2**63), **refused),
        ],
    }


def test_forged_messages_are_refused_and_counted(material: Material, tmp_path: Path) -> None:
    config = write_constellation(tmp_path, constellation(material, BLOCK_S))
    with started(up(config), tmp_path) as flight, Observer(flight) as observer:
        plans, ledgers = observer.hear(graph.PLAN_ACTIVE), observer.hear(graph.LEDGER)
        statuses = {name: observer.hear(graph.STATUS, name) for name in ("sat1", "sat2", "sat3")}
        voices = {
            "sat2/compression": observer.voice(graph.ACTIVATION_INBOX, "sat2"),
            "sat1/compression": observer.voice(graph.IMAGES_INBOX, "sat1"),
            "ground": observer.voice(graph.PREDICTIONS_INBOX, graph.GROUND),
            "sensing": observer.voice(graph.BATCH_ACK),
            "link": observer.voice(graph.ACTIVATION_OUTBOX, "sat1"),
            "recorder": observer.voice(graph.TIMING, "sat1"),
            "planner": observer.voice(graph.LINK_STATE),
        }
        plan_voices = [observer.voice(graph.PLAN_PROPOSED), observer.voice(graph.PLAN_ACTIVE)]
        observer.until(lambda: plans and ledgers[-1].sent_batches, "batches in flight")
        plan = convert.plan_from(plans[-1])
        forger = Forger(plan, read_spec(material.checkpoint), load_artefacts(material.artefacts), ledgers[-1].run_id)
        forged: dict[str, dict[str, list[Any]]] = {
            "sat2/compression": forged_activations(forger),
            "sat1/compression": forged_images(forger),
            "ground": forged_predictions(forger),
            "sensing": forged_acks(ledgers[-1].boot_id),
            "link": {"unknown_destination": [forger.activation(destination="nobody")]},
            "recorder": {"malformed_timing": [m.BatchTiming(satellite="sat1", setting=m.CodecSetting(codec=9))]},
            "planner": {
                # Of one that is down, the rate says nothing.
                "malformed_link_state": [
                    m.LinkState(sender="sat1", receiver="sat2", up=True, rate_bps=r) for r in (NAN, -1.0)
                ]
            },
        }
        for node, by_counter in forged.items():
            for messages in by_counter.values():
                for message in messages:
                    voices[node].publish(message)
        unsound = forged_plans(forger)
        for message in unsound:
            for voice in plan_voices:
                voice.publish(message)
        for node, by_counter in forged.items():
            for counter, messages in by_counter.items():
                observer.until(
                    lambda: observer.counter(node, counter) >= len(messages),  # noqa: B023
                    f"{len(messages)} {counter} of {node}, which counted {observer.counter(node, counter)}",
                )
        # Of a latched topic of depth 1, a reader may see the last message only.
        observer.until(lambda: observer.counter("sensing", "plan_refused"), "plans refused by sensing")
        for node in ("sat1/stage", "recorder", "planner"):
            observer.until(lambda: observer.counter(node, "bad_plan"), f"a plan refused by {node}")  # noqa: B023
        assert observer.until_ended() == 0, flight.story()

        assert {p.plan_hash for p in plans if p.planner_id != "/forger"} == {plan.plan_hash}
        assert {(x.epoch.incarnation, x.plan_hash) for x in ledgers if x.plan_hash} == {
            (plan.epoch.incarnation, plan.plan_hash)
        }
        for name, heard in statuses.items():
            stage = plan.stage_of(name)
            assert (heard[-1].start, heard[-1].stop) == (stage.start, stage.stop)
    summary = json.loads((flight.latest / "summary.json").read_text())
    expected = material.bag_tiles
    assert summary["tiles"] == {"sent": expected, "received": expected, "duplicates": 0, "lost": 0, "dropped": {}}
    assert "Traceback" not in flight.errors + flight.logs
