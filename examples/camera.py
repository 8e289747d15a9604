"""A camera that shows a folder's images in turn: python examples/camera.py FOLDER TOPIC [IMAGES_PER_SECOND]."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from PIL import Image as Picture
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image


class FolderCamera(Node):
    """Publishes one image after the other, stamped when it is published."""

    def __init__(self, folder: Path, topic: str, rate_hz: float, **kwargs: Any) -> None:
        super().__init__("camera", **kwargs)
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        if not files:
            raise SystemExit(f"{folder} holds no .jpg, .jpeg or .png")
        self._files = itertools.cycle(files)
        self._images = self.create_publisher(Image, topic, qos_profile_sensor_data)
        self.create_timer(1.0 / rate_hz, self._show)

    def _show(self) -> None:
        rgb = np.asarray(Picture.open(next(self._files)).convert("RGB"))
        height, width, _ = rgb.shape
        image = Image(height=height, width=width, encoding="rgb8", step=3 * width, data=rgb.tobytes())
        image.header.stamp = self.get_clock().now().to_msg()
        image.header.frame_id = "camera"
        self._images.publish(image)


if __name__ == "__main__":
    rclpy.init()
    node = FolderCamera(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 2.0)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        rclpy.try_shutdown()
