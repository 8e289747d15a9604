"""Messages to the engine's dataclasses and back; what must not be used is refused with its cause."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from satllm_ros import msg as m
from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.checksum import seal
from satllm_ros.protocol.identity import BatchId, Envelope, Epoch
from satllm_ros.protocol.plan import Plan, PlanError, Stage
from satllm_ros.protocol.signals import Ack, CustodyQuery, Report, SwitchState
from satllm_ros.protocol.vocabulary import Cause, Readiness, Verdict

UINT32, UINT64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
EPOCHS = st.builds(Epoch, UINT64, UINT64)
BATCHES = st.builds(BatchId, UINT64, UINT64, UINT32)
# What a ROS string can carry: no zero byte, no half of a surrogate pair.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
SETTINGS = st.sampled_from([CodecSetting(codec) for codec in Codec])


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    tiles = draw(st.integers(1, 8))
    return Envelope(
        batch=draw(BATCHES),
        sender=draw(TEXTS),
        destination=draw(TEXTS),
        epoch=draw(EPOCHS),
        plan_hash=draw(TEXTS),
        low_water=draw(EPOCHS),
        model_id=draw(TEXTS),
        run_id=draw(UINT64),
        source_id=draw(TEXTS),
        frames=tuple(draw(st.lists(UINT64, min_size=tiles, max_size=tiles))),
        tile_indices=tuple(draw(st.lists(UINT32, min_size=tiles, max_size=tiles))),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    share = st.floats(0.0, 1.0)
    stages = st.builds(Stage, TEXTS, UINT32, UINT32, SETTINGS)
    return Plan(
        epoch=draw(EPOCHS),
        planner_id=draw(TEXTS),
        model_id=draw(TEXTS),
        source=draw(TEXTS),
        stages=tuple(draw(st.lists(stages, max_size=5))),
        downlink=draw(TEXTS),
        accuracy_floor=draw(share),
        predicted_makespan_s=draw(share),
        predicted_paper_s=draw(share),
        predicted_cycle_s=draw(share),
        explanation=draw(TEXTS),
        plan_hash=draw(TEXTS),
        signature=draw(st.binary(max_size=64)),
    )


KEYS = st.tuples(EPOCHS, TEXTS)
ACKS = st.builds(Ack, BATCHES, TEXTS, st.sampled_from(Verdict), st.sampled_from(Cause))
SWITCHES = st.builds(SwitchState, KEYS, EPOCHS, EPOCHS)
QUERIES = st.builds(CustodyQuery, TEXTS, st.lists(BATCHES, max_size=5).map(tuple))
REPORTS = st.builds(
    Report, TEXTS, UINT64, KEYS, st.sampled_from(Readiness), TEXTS, st.lists(KEYS, max_size=4).map(tuple)
)


def over_the_wire(message: Any) -> Any:
    """The message after DDS has serialized it."""
    return deserialize_message(serialize_message(message), type(message))


def envelope(**changes: Any) -> Envelope:
    made = Envelope(
        BatchId(7, 1), "sat1", "sat2", Epoch(1, 1), "0" * 16, Epoch(1, 1), "1" * 16, 8, "bag", (10, 11), (0, 1)
    )
    return replace(made, **changes)


def images(tiles: tuple[bytes, ...] = (b"one", b"three"), **changes: Any) -> m.ImageBatch:
    fields = {"encoding": 1, "height": 4, "width": 4, "tile_bytes": [len(t) for t in tiles]} | changes
    return m.ImageBatch(data=convert.to_bytes(b"".join(tiles)), **fields)


def predictions(logits: np.ndarray | None = None) -> m.Predictions:
    logits = np.array([[1, 3, 2], [5, 0, 4]], dtype=np.float32) if logits is None else logits
    return convert.predictions_to(envelope(), Header(stamp=Time(sec=5)), logits)


@settings(deadline=None)
@given(envelopes())
def test_envelopes_survive_the_wire(made: Envelope) -> None:
    assert convert.envelope_from(over_the_wire(convert.envelope_to(made))) == made


@settings(deadline=None)
@given(plans())
def test_plans_survive_the_wire(made: Plan) -> None:
    assert convert.plan_from(over_the_wire(convert.plan_to(made, Time()))) == made


@settings(deadline=None)
@given(plans())
def test_hash_of_a_plan_survives_the_wire(made: Plan) -> None:
    sealed = made.sealed()
    assert convert.plan_from(over_the_wire(convert.plan_to(sealed, Time()))).digest() == sealed.plan_hash


@settings(deadline=None)
@given(ACKS, SWITCHES, QUERIES, REPORTS)
def test_the_words_of_the_protocol_survive_the_wire(
    ack: Ack, switch: SwitchState, query: CustodyQuery, report: Report
) -> None:
    status = m.SatelliteStatus()
    convert.report_into(report, status)

    assert convert.ack_from(over_the_wire(convert.ack_to(ack, Time()))) == ack
    assert convert.switch_from(over_the_wire(convert.switch_to(switch, Time()))) == switch
    assert convert.query_from(over_the_wire(convert.query_to(query, Time()))) == query
    assert convert.report_from(over_the_wire(status)) == report


@pytest.mark.parametrize("fields", [{"verdict": 0}, {"verdict": 4}, {"verdict": 3, "cause": 8}])
def test_an_acknowledgement_with_an_unknown_verdict_or_cause_is_refused(fields: dict[str, int]) -> None:
    with pytest.raises(convert.WireError, match="acknowledgement of 'sat1'"):
        convert.ack_from(m.BatchAck(sender="sat1", **fields))


@pytest.mark.parametrize("fields", [{"readiness": 5}, {"served": [m.Epoch()]}, {"served_hashes": ["a"]}])
def test_a_status_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(convert.WireError, match="status of 'sat1'"):
        convert.report_from(m.SatelliteStatus(satellite="sat1", **fields))


@pytest.mark.parametrize("changes", [{"codec": 9}, {"keep_ratio": 0.5}, {"keep_ratio": float("nan")}, {"bits": 3}])
def test_plan_with_an_unknown_setting_is_refused(changes: dict[str, Any]) -> None:
    plan = Plan(Epoch(1, 1), "p", "m", "s", (Stage("sat1", 0, 4, CodecSetting(Codec.INT8)),), "sat1")
    message = convert.plan_to(plan, Time())
    for name, value in changes.items():
        setattr(message.stages[0].setting, name, value)
    with pytest.raises(PlanError, match=r"plan 1\.1"):
        convert.plan_from(message)


@pytest.mark.parametrize(
    ("frames", "indices"), [((), ()), ((1,), ()), ((), (1,)), ((1, 2), (0,)), ((1,) * 4097, (0,) * 4097)]
)
def test_envelope_with_other_than_one_index_a_frame_is_refused(frames: tuple, indices: tuple) -> None:
    message = m.BatchEnvelope(frames=list(frames), tile_indices=list(indices))
    with pytest.raises(convert.WireError, match=f"{len(frames)} frames and {len(indices)} tile indices") as caught:
        convert.envelope_from(message)
    assert caught.value.cause is Cause.MALFORMED


@settings(deadline=None)
@given(envelopes(), st.integers(0, 2**32 - 1), st.binary(max_size=50), st.data())
def test_seal_notices_a_change_of_anything_that_matters(
    made: Envelope, cut: int, payload: bytes, data: st.DataObject
) -> None:
    crc32 = seal(made, cut, payload)
    convert.check_seal(made, cut, payload, crc32)
    convert.check_seal(replace(made, sender="x", destination="y"), cut, payload, crc32)
    changed = data.draw(
        st.sampled_from(
            [
                (replace(made, batch=replace(made.batch, attempt=made.batch.attempt ^ 1)), cut, payload),
                (replace(made, batch=replace(made.batch, sequence=made.batch.sequence ^ 1)), cut, payload),
                (replace(made, epoch=Epoch(made.epoch.incarnation ^ 1, made.epoch.counter)), cut, payload),
                (replace(made, low_water=Epoch(made.low_water.incarnation, made.low_water.counter ^ 1)), cut, payload),
                (replace(made, plan_hash=made.plan_hash + "x"), cut, payload),
                (replace(made, model_id=made.model_id + "x"), cut, payload),
                (replace(made, source_id=made.source_id + "x"), cut, payload),
                (replace(made, frames=(made.frames[0] ^ 1, *made.frames[1:])), cut, payload),
                (replace(made, tile_indices=(made.tile_indices[0] ^ 1, *made.tile_indices[1:])), cut, payload),
                (made, cut ^ 1, payload),
                (made, cut, payload + b"\0"),
            ]
        )
    )
    with pytest.raises(convert.WireError) as caught:
        convert.check_seal(*changed, crc32)
    assert caught.value.cause is Cause.BAD_CRC


def test_image_batch_whose_sizes_add_up_is_taken() -> None:
    convert.check_image_batch(images(), envelope())
    convert.check_image_batch(images(encoding=0, height=4096, width=1), envelope())


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (images(encoding=2), "encoding 2"),
        (images(height=0), "4x0"),
        (images(width=4097), "4097x4"),
        (images(tile_bytes=[3, 4]), "add up to 7"),
        (images(tile_bytes=[8]), "1 tile sizes"),
        (images(tile_bytes=[2**32 - 1, 2**32 - 1]), "8589934590"),
        (images((b"a", b"b", b"c")), "3 tile sizes"),
    ],
)
def test_image_batch_that_does_not_add_up_is_refused(message: m.ImageBatch, said: str) -> None:
    with pytest.raises(convert.WireError, match=said) as caught:
        convert.check_image_batch(message, envelope())
    assert caught.value.cause is Cause.MALFORMED


def test_logits_survive_the_wire() -> None:
    message = over_the_wire(predictions())
    logits = convert.predictions_logits(message, convert.envelope_from(message.envelope))
    np.testing.assert_array_equal(logits, [[1, 3, 2], [5, 0, 4]])
    assert list(message.labels) == [1, 0] and message.classes == 3
    assert message.header.stamp.sec == 5


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("crc32", 0, Cause.BAD_CRC),
        ("classes", 0, Cause.MALFORMED),
        ("classes", 2, Cause.MALFORMED),
        ("classes", 2**32 - 1, Cause.MALFORMED),
        ("logits", [], Cause.BAD_CRC),
        ("logits", [1.0, 3.0, 2.0, 5.0, 0.0, 4.5], Cause.BAD_CRC),
        ("labels", [1], Cause.MALFORMED),
        ("labels", [1, 2], Cause.MALFORMED),
        ("labels", [], Cause.MALFORMED),
    ],
)
def test_predictions_that_do_not_fit_are_refused(name: str, value: Any, cause: Cause) -> None:
    message = predictions()
    setattr(message, name, value)
    with pytest.raises(convert.WireError) as caught:
        convert.predictions_logits(message, envelope())
    assert caught.value.cause is cause


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    logits = np.zeros((2, 3), np.float32)
    logits[1, 2] = value
    with pytest.raises(convert.WireError, match="not finite"):
        convert.predictions_logits(predictions(logits), envelope())


@settings(deadline=None)
@given(
    kind=st.sampled_from([np.float32, np.float16]), shape=st.tuples(*[st.integers(1, 5)] * 3), seed=st.integers(0, 9)
)
def test_raw_activations_are_read_as_float32(kind: type, shape: tuple[int, ...], seed: int) -> None:
    values: NDArray[np.floating[Any]] = np.random.default_rng(seed).normal(size=shape).astype(kind)
    message = m.Activation(dtype=int(kind is np.float16), shape=list(shape), data=convert.to_bytes(values))
    read = convert.activation_array(over_the_wire(message), shape)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.astype(np.float32))


@pytest.mark.parametrize("changes", [{"dtype": 2}, {"shape": [3, 2]}, {"shape": [6]}, {"data": bytes(23)}])
def test_raw_activations_of_another_shape_are_refused(changes: dict[str, Any]) -> None:
    fields = {"dtype": 0, "shape": [2, 3], "data": bytes(24)} | changes
    with pytest.raises(convert.WireError, match=r"expected shape \(2, 3\)"):
        convert.activation_array(m.Activation(**fields), (2, 3))


def test_stamp_is_read_in_seconds() -> None:
    assert convert.seconds(Time(sec=3, nanosec=250_000_000)) == 3.25
