"""Images of the simulation: what each truly is, and what it is called; folders that change under their readers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from satllm_ros.data.manifest import Manifest

STAMPS = ("rising", "equal", "zero", "backwards", "repeated")


@dataclass(frozen=True)
class Image:
    """One image: `content` is unlike that of any other, the stamp is not."""

    name: str
    content: str
    stamp: int


def make_image(number: int, stamps: str) -> Image:
    """The image that a camera takes as its `number`-th, with one kind of stamp out of `STAMPS`."""
    stamp = {
        "rising": 1000 + number,
        "equal": 1000,
        "zero": 0,
        "backwards": 1000 - number,
        "repeated": 1000 + number // 3,
    }[stamps]
    return Image(f"n{number:04d}.jpg", f"image {number}", stamp)


class Folder:
    """Files by name; whoever lists them sees them sorted."""

    def __init__(self, images: Sequence[Image]) -> None:
        self.files = {image.name: image for image in images}
        self._changes = 0

    def manifest(self) -> Manifest:
        """What is there now: names and sizes, which are the same whatever a file holds."""
        return Manifest("folder", "", tuple((name, 1) for name in sorted(self.files)), {})

    def change(self, how: str, draw: random.Random) -> str:
        """A file comes to the front, is replaced by another image of its name, or goes; says which."""
        self._changes += 1
        content = f"new image {self._changes}"
        name = draw.choice(sorted(self.files)) if self.files and how != "add" else f"a{self._changes:04d}.jpg"
        if how == "remove":
            self.files.pop(name, None)
        elif how == "replace" and name in self.files:
            self.files[name] = replace(self.files[name], content=content)
        else:
            self.files[name] = Image(name, content, 0)
        return name
