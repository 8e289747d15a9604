"""The graph's named qualities of service as rclpy profiles."""

import pytest
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_profile_sensor_data,
)

from satllm_ros.interfaces import Qos
from satllm_ros.nodes.base.qos import message_class, profile


@pytest.mark.parametrize("qos", Qos)
def test_profile_says_what_the_quality_says(qos: Qos) -> None:
    quality, made = qos.value, profile(qos)
    assert made.history == HistoryPolicy.KEEP_LAST and made.depth == quality.depth
    assert (made.reliability == ReliabilityPolicy.RELIABLE) == quality.reliable
    assert (made.reliability == ReliabilityPolicy.BEST_EFFORT) != quality.reliable
    assert (made.durability == DurabilityPolicy.TRANSIENT_LOCAL) == quality.latched


@pytest.mark.parametrize("qos", Qos)
def test_both_ends_of_a_topic_match(qos: Qos) -> None:
    assert qos_check_compatible(profile(qos), profile(qos))[0] != QoSCompatibility.ERROR


@pytest.mark.parametrize("offered", [qos_profile_sensor_data, QoSProfile(depth=1), QoSProfile(depth=1000)])
def test_any_camera_matches(offered: QoSProfile) -> None:
    assert qos_check_compatible(offered, profile(Qos.CAMERA))[0] != QoSCompatibility.ERROR


def test_a_plan_is_not_taken_from_a_publisher_that_does_not_latch_it() -> None:
    assert qos_check_compatible(QoSProfile(depth=1), profile(Qos.PLAN))[0] == QoSCompatibility.ERROR


def test_message_class_is_found_by_name() -> None:
    from sensor_msgs.msg import Image

    assert message_class("sensor_msgs/msg/Image") is Image
