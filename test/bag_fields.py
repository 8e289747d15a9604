"""The fields of a recorded message, as a test looks at them."""

from typing import Any

from satllm_ros.data.rosbag.bag import BagMessage
from satllm_ros.data.rosbag.typestore import bag_typestore


def fields_of(message: BagMessage) -> Any:
    return bag_typestore().deserialize_cdr(message.cdr, message.type_name)
