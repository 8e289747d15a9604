"""Who an image is: never its stamp, which repeats, and never its place in a list that is sorted anew.

A tile is (source, frame, tile index). What can be read again, a folder or a bag, is known by its content: the source is
the hash of a manifest that was taken before the run, a frame the place in that manifest. What cannot, a camera, is
counted as it is heard, and its source carries the life of sensing that counted: the next life counts from 1 again.
"""

from __future__ import annotations

from collections.abc import Sequence


class CameraIdentity:
    """Numbers the images of a camera in the order of their arrival, for one life of sensing."""

    def __init__(self, boot_id: int) -> None:
        self.source_id = f"camera-{boot_id:016x}"
        self._heard = 0

    def next(self) -> int:
        """Frame of the image that has just arrived, from 1."""
        self._heard += 1
        return self._heard


class ManifestIdentity:
    """Numbers the files of a folder by their places in the manifest of the run, whatever the folder holds now."""

    def __init__(self, source_id: str, names: Sequence[str]) -> None:
        self.source_id = source_id
        self._frames = {name: place for place, name in enumerate(names, start=1)}

    def frame_of(self, name: str) -> int | None:
        """Frame of a file, from 1; None if it came after the run began."""
        return self._frames.get(name)
