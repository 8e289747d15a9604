"""What the recorder takes for a record: times that no clock can mean are refused."""

import math

import pytest

from satllm_ros import msg as m
from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.records import satellite_record, stage_record, transfer_record


def timing(**changes: float) -> m.BatchTiming:
    values = {
        "start": 0,
        "stop": 3,
        "tiles": 4,
        "received_s": 10.0,
        "compute_start_s": 11.0,
        "compute_stop_s": 12.0,
        "sent_s": 13.0,
        # A rest of a subtraction.
        "wait_s": -1e-9,
        "compute_s": 1.0,
    }
    setting = convert.setting_to(CodecSetting(Codec.INT8))
    return m.BatchTiming(satellite="sat1", setting=setting, **(values | changes))


def test_a_timing_is_kept_as_it_came() -> None:
    record = stage_record(timing())
    assert (record.tiles, record.stop, record.received_s, record.wait_s) == (4, 3, 10.0, -1e-9)
    assert record.setting == "int8"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tiles": 0}, "tiles is 0"),
        ({"start": 3}, "stop is 3"),
        ({"start": 5, "stop": 4}, "stop is 4"),
        ({"received_s": -1.0}, "received_s is -1"),
        ({"received_s": 11.5}, "compute_start_s is 11.0"),
        ({"compute_stop_s": 10.5}, "compute_stop_s is 10.5"),
        ({"sent_s": 11.5}, "sent_s is 11.5"),
        ({"sent_s": 1e300}, "sent_s is 1e"),
        ({"sent_s": math.inf}, "sent_s is inf"),
        ({"compute_start_s": math.nan}, "compute_start_s is nan"),
        *(
            ({f"{name}_s": value}, f"{name}_s is {value}")
            for name in ("wait", "decode", "compute", "compute_real", "encode", "publish")
            for value in (-1.0, 1e300, math.nan)
        ),
    ],
)
def test_a_timing_that_makes_no_sense_is_refused(changes: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named.replace("+", r"\+")):
        stage_record(timing(**changes))


def test_records_say_by_which_clock_they_are() -> None:
    message = timing()
    message.clock = "0123456789abcdef-4026531834"
    assert stage_record(message).clock == message.clock
    assert transfer_record(m.LinkTransfer(stop_s=1.0, clock="a-1")).clock == "a-1"


@pytest.mark.parametrize("clock", ["a" * 49, "a b", "a\n", "ä"])
def test_a_clock_with_a_name_that_no_clock_has_is_refused(clock: str) -> None:
    message = timing()
    message.clock = clock
    with pytest.raises(ValueError, match="clock is"):
        stage_record(message)


def test_an_unknown_setting_is_refused() -> None:
    message = timing()
    message.setting.codec = 99
    with pytest.raises(ValueError, match="codec 99"):
        stage_record(message)


def test_a_transfer_is_kept_as_it_came() -> None:
    record = transfer_record(m.LinkTransfer(sender="sat1", receiver="ground", wire_bytes=7, start_s=1.0, stop_s=2.0))
    assert (record.sender, record.receiver, record.wire_bytes, record.start_s, record.stop_s) == (
        *("sat1", "ground"),
        *(7, 1.0, 2.0),
    )


@pytest.mark.parametrize(
    ("start_s", "stop_s"), [(2.0, 1.0), (-1.0, 1.0), (0.0, 1e300), (math.nan, 1.0), (0.0, math.nan), (0.0, math.inf)]
)
def test_a_transfer_that_makes_no_sense_is_refused(start_s: float, stop_s: float) -> None:
    with pytest.raises(ValueError, match="start_s is|stop_s is"):
        transfer_record(m.LinkTransfer(sender="sat1", receiver="ground", start_s=start_s, stop_s=stop_s))


def test_the_speed_a_satellite_had_before_any_blocks_is_kept() -> None:
    first = satellite_record(m.SatelliteStatus(satellite="sat1", block_s=0.5))
    later = satellite_record(m.SatelliteStatus(satellite="sat1", block_s=0.7, stop=3), first)
    idle = satellite_record(m.SatelliteStatus(satellite="sat1", block_s=0.9), later)
    assert [r.first_block_s for r in (first, later, idle)] == [0.5, 0.5, 0.5] and idle.block_s == 0.9
    heard_late = satellite_record(m.SatelliteStatus(satellite="sat1", block_s=0.7, stop=3))
    idle = satellite_record(m.SatelliteStatus(satellite="sat1", block_s=0.9), heard_late)
    assert heard_late.first_block_s is None and idle.first_block_s is None
    emulated = satellite_record(m.SatelliteStatus(satellite="sat1", block_s=0.5, emulated=True))
    assert emulated.first_block_s is None
