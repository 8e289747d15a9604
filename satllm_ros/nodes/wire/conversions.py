"""Messages from and to the dataclasses of the engine; everything that comes over the wire is checked here."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray

from satllm_ros import msg as m
from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.interfaces import MAX_BATCH_TILES
from satllm_ros.protocol.checksum import seal
from satllm_ros.protocol.identity import BatchId, Envelope, Epoch
from satllm_ros.protocol.plan import Plan, PlanError, Stage
from satllm_ros.protocol.signals import Ack, CustodyQuery, Report, SwitchState
from satllm_ros.protocol.vocabulary import Cause, Readiness, Verdict

# A batch larger than this is an attack or a mistake, not a workload.
MAX_TILE_SIDE = 4096


class WireError(ValueError):
    """A message that must not be used; `cause` is what its sender is told."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


def to_bytes(data: Any) -> array[int]:
    """Bytes as the type rclpy copies fast: assigning a numpy array to a `uint8[]` field costs 100 ms a megabyte."""
    made = array("B")
    made.frombytes(memoryview(data).cast("B"))
    return made


def seconds(stamp: Time) -> float:
    return stamp.sec + stamp.nanosec * 1e-9


def epoch_from(message: m.Epoch) -> Epoch:
    return Epoch(message.incarnation, message.counter)


def epoch_to(epoch: Epoch) -> m.Epoch:
    return m.Epoch(incarnation=epoch.incarnation, counter=epoch.counter)


def batch_from(message: m.BatchId) -> BatchId:
    return BatchId(message.boot_id, message.sequence, message.attempt)


def batch_to(batch: BatchId) -> m.BatchId:
    return m.BatchId(boot_id=batch.boot_id, sequence=batch.sequence, attempt=batch.attempt)


def setting_from(message: m.CodecSetting) -> CodecSetting:
    try:
        codec = Codec(message.codec)
    except ValueError:
        known = ", ".join(f"{c.value} ({c.name.lower()})" for c in Codec)
        raise PlanError(f"codec {message.codec} is unknown; known are {known}") from None
    return CodecSetting(codec, message.keep_ratio, message.bits)


def setting_to(setting: CodecSetting) -> m.CodecSetting:
    return m.CodecSetting(codec=int(setting.codec), keep_ratio=float(setting.keep_ratio), bits=setting.bits)


def envelope_from(message: m.BatchEnvelope) -> Envelope:
    """Envelope of a received batch.

    Raises
    ------
    WireError
        If the lists of tiles disagree or are empty or too long.
    """
    frames, indices = len(message.frames), len(message.tile_indices)
    if frames != indices or not 1 <= frames <= MAX_BATCH_TILES:
        raise WireError(
            Cause.MALFORMED,
            f"envelope lists {frames} frames and {indices} tile indices; allowed is 1 to {MAX_BATCH_TILES} of each",
        )
    return Envelope(
        batch=batch_from(message.batch),
        sender=message.sender,
        destination=message.destination,
        epoch=epoch_from(message.epoch),
        plan_hash=message.plan_hash,
        low_water=epoch_from(message.low_water),
        model_id=message.model_id,
        run_id=message.run_id,
        source_id=message.source_id,
        frames=tuple(message.frames),
        tile_indices=tuple(message.tile_indices),
    )


def envelope_to(envelope: Envelope) -> m.BatchEnvelope:
    return m.BatchEnvelope(
        batch=batch_to(envelope.batch),
        sender=envelope.sender,
        destination=envelope.destination,
        epoch=epoch_to(envelope.epoch),
        plan_hash=envelope.plan_hash,
        low_water=epoch_to(envelope.low_water),
        model_id=envelope.model_id,
        run_id=envelope.run_id,
        source_id=envelope.source_id,
        frames=list(envelope.frames),
        tile_indices=list(envelope.tile_indices),
    )


def check_seal(envelope: Envelope, cut: int, payload: Any, crc32: int) -> None:
    """Raise `WireError` unless the message's checksum matches its content."""
    if seal(envelope, cut, payload) != crc32:
        raise WireError(Cause.BAD_CRC, f"checksum of {envelope.batch} at cut {cut} does not match")


def check_image_batch(message: m.ImageBatch, envelope: Envelope) -> None:
    """Raise `WireError` unless sizes add up and the encoding is known."""
    if message.encoding not in (m.ImageBatch.ENCODING_RGB8, m.ImageBatch.ENCODING_JPEG):
        raise WireError(
            Cause.MALFORMED, f"image encoding {message.encoding} is unknown; known are 0 (rgb8) and 1 (jpeg)"
        )
    if not (1 <= message.height <= MAX_TILE_SIDE and 1 <= message.width <= MAX_TILE_SIDE):
        raise WireError(
            Cause.MALFORMED, f"tiles of {message.width}x{message.height} pixels; allowed is 1 to {MAX_TILE_SIDE}"
        )
    if len(message.tile_bytes) != envelope.tiles or sum(message.tile_bytes) != len(message.data):
        raise WireError(
            Cause.MALFORMED,
            f"{len(message.tile_bytes)} tile sizes add up to {sum(message.tile_bytes)} bytes;"
            f" the batch has {envelope.tiles} tiles and {len(message.data)} bytes",
        )


def activation_array(message: m.Activation, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values as float32; raises `WireError` unless they are of this shape and of a known type."""
    kinds: dict[int, np.dtype[Any]] = {
        m.Activation.DTYPE_FLOAT32: np.dtype("<f4"),
        m.Activation.DTYPE_FLOAT16: np.dtype("<f2"),
    }
    kind = kinds.get(message.dtype)
    if kind is None or tuple(message.shape) != shape or len(message.data) != kind.itemsize * math.prod(shape):
        raise WireError(
            Cause.MALFORMED,
            f"activation of type {message.dtype}, shape {tuple(message.shape)}, {len(message.data)} bytes;"
            f" expected shape {shape} as float32 (0) or float16 (1)",
        )
    values: NDArray[np.float32] = np.frombuffer(message.data, dtype=kind).reshape(shape).astype(np.float32)
    return values


def predictions_logits(message: m.Predictions, envelope: Envelope) -> NDArray[np.float32]:
    """Logits, float32 (tiles, classes); raises `WireError` if their number, one of them or a label is wrong.

    The checksum comes first: what is `MALFORMED` arrived as it was sent, and will arrive so again.
    """
    check_seal(envelope, 0, message.logits, message.crc32)
    if message.classes < 1 or envelope.tiles * message.classes != len(message.logits):
        raise WireError(
            Cause.MALFORMED,
            f"{len(message.logits)} logits for {envelope.tiles} tiles of {message.classes} classes",
        )
    logits = np.frombuffer(message.logits, dtype=np.float32).reshape(envelope.tiles, message.classes)
    if not np.isfinite(logits).all():
        raise WireError(Cause.MALFORMED, f"a logit of {envelope.batch} is not finite")
    if not np.array_equal(message.labels, logits.argmax(axis=1)):
        raise WireError(Cause.MALFORMED, f"labels of {envelope.batch} are not the greatest logits")
    return logits


def predictions_to(envelope: Envelope, header: Any, logits: NDArray[np.float32]) -> m.Predictions:
    """Message for logits, float32 (tiles, classes)."""
    flat = array("f")
    flat.frombytes(np.ascontiguousarray(logits, dtype=np.float32).tobytes())
    return m.Predictions(
        header=header,
        envelope=envelope_to(envelope),
        classes=logits.shape[1],
        labels=[int(label) for label in logits.argmax(axis=1)],
        logits=flat,
        crc32=seal(envelope, 0, flat.tobytes()),
    )


def plan_from(message: m.Plan) -> Plan:
    """Plan of a received message; raises `PlanError` when a setting is not acceptable."""
    try:
        stages = tuple(
            Stage(stage.satellite, stage.start, stage.stop, setting_from(stage.setting)) for stage in message.stages
        )
    except ValueError as error:
        raise PlanError(f"plan {epoch_from(message.epoch)}: {error}") from None
    return Plan(
        epoch=epoch_from(message.epoch),
        planner_id=message.planner_id,
        model_id=message.model_id,
        source=message.source,
        stages=stages,
        downlink=message.downlink,
        accuracy_floor=message.accuracy_floor,
        predicted_makespan_s=message.predicted_makespan_s,
        predicted_paper_s=message.predicted_paper_s,
        predicted_cycle_s=message.predicted_cycle_s,
        explanation=message.explanation,
        plan_hash=message.plan_hash,
        signature=bytes(message.signature),
    )


def plan_to(plan: Plan, stamp: Time) -> m.Plan:
    message = m.Plan(
        epoch=epoch_to(plan.epoch),
        plan_hash=plan.plan_hash,
        planner_id=plan.planner_id,
        model_id=plan.model_id,
        source=plan.source,
        stages=[
            m.StageAssignment(satellite=s.satellite, start=s.start, stop=s.stop, setting=setting_to(s.setting))
            for s in plan.stages
        ],
        downlink=plan.downlink,
        accuracy_floor=plan.accuracy_floor,
        predicted_makespan_s=plan.predicted_makespan_s,
        predicted_paper_s=plan.predicted_paper_s,
        predicted_cycle_s=plan.predicted_cycle_s,
        explanation=plan.explanation,
        signature=list(plan.signature),
    )
    message.header.stamp = stamp
    return message


def ack_from(message: m.BatchAck) -> Ack:
    """Raises `WireError` when verdict or cause is unknown."""
    try:
        verdict, cause = Verdict(message.verdict), Cause(message.cause)
    except ValueError as error:
        raise WireError(Cause.MALFORMED, f"acknowledgement of {message.sender!r}: {error}") from None
    return Ack(batch_from(message.batch), message.sender, verdict, cause)


def ack_to(ack: Ack, stamp: Time) -> m.BatchAck:
    message = m.BatchAck(batch=batch_to(ack.batch), sender=ack.sender, verdict=int(ack.verdict), cause=int(ack.cause))
    message.header.stamp = stamp
    return message


def report_from(message: m.SatelliteStatus) -> Report:
    """What a status says of plans; raises `WireError` when it contradicts itself."""
    try:
        readiness = Readiness(message.readiness)
        serves = [(epoch_from(e), h) for e, h in zip(message.served, message.served_hashes, strict=True)]
    except ValueError as error:
        raise WireError(Cause.MALFORMED, f"status of {message.satellite!r}: {error}") from None
    about = (epoch_from(message.proposed), message.proposed_hash)
    return Report(message.satellite, message.boot_id, about, readiness, message.reason, tuple(serves))


def report_into(report: Report, message: m.SatelliteStatus) -> None:
    """Fill in the part of a status that is about plans."""
    message.satellite, message.boot_id = report.satellite, report.boot_id
    message.proposed, message.proposed_hash = epoch_to(report.about[0]), report.about[1]
    message.readiness, message.reason = int(report.readiness), report.reason
    message.served = [epoch_to(epoch) for epoch, _ in report.serves]
    message.served_hashes = [plan_hash for _, plan_hash in report.serves]


def switch_from(message: m.SwitchState) -> SwitchState:
    return SwitchState(
        drained=(epoch_from(message.drained), message.drained_hash),
        withdrawn=epoch_from(message.withdrawn),
        low_water=epoch_from(message.low_water),
    )


def switch_to(state: SwitchState, stamp: Time) -> m.SwitchState:
    message = m.SwitchState(
        drained=epoch_to(state.drained[0]),
        drained_hash=state.drained[1],
        withdrawn=epoch_to(state.withdrawn),
        low_water=epoch_to(state.low_water),
    )
    message.header.stamp = stamp
    return message


def query_from(message: m.CustodyQuery) -> CustodyQuery:
    return CustodyQuery(message.store, tuple(batch_from(batch) for batch in message.batches))


def query_to(query: CustodyQuery, stamp: Time) -> m.CustodyQuery:
    message = m.CustodyQuery(store=query.store, batches=[batch_to(batch) for batch in query.batches])
    message.header.stamp = stamp
    return message
