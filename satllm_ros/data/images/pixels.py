"""What the user states about pixels that a file or message does not declare."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

# How images are resampled: Pillow's, which looks at all pixels that fall into one.
RESAMPLING = "bicubic"
LARGEST_BAND = 65_535
LARGEST_SIDE = 16_384


class PixelRulesError(ValueError):
    """A statement about pixels that is malformed, or contradicts another."""


@dataclass(frozen=True)
class PixelRules:
    """What is stated about images beside what they declare themselves; None: nothing.

    Attributes
    ----------
    bands
        Bands to take as red, green and blue, or one to take as gray; the first one is 1.
    pixel_scale
        Factor from a sample to 0..255, for samples that are not 8 bits unsigned: clip(round(sample * pixel_scale), 0,
        255). Those of 8 bits are taken as they are.
    resize
        Side [pixels] of the square that images are brought to: the middle of the picture, its short side resampled.

    Raises
    ------
    PixelRulesError
        If a value is not allowed.
    """

    bands: tuple[int, ...] | None = None
    pixel_scale: float | None = None
    resize: int | None = None

    def __post_init__(self) -> None:
        if self.bands is not None and not (
            isinstance(self.bands, tuple)
            and len(self.bands) in (1, 3)
            and all(_is_whole(band) and 1 <= band <= LARGEST_BAND for band in self.bands)
        ):
            raise PixelRulesError(f"bands is {self.bands!r}; one or three numbers from 1 to {LARGEST_BAND} are needed")
        scale = self.pixel_scale
        if scale is not None and not (
            isinstance(scale, int | float) and not isinstance(scale, bool) and math.isfinite(scale) and scale > 0
        ):
            raise PixelRulesError(f"pixel_scale is {scale!r}; a finite number above 0 is needed")
        if self.resize is not None and not (_is_whole(self.resize) and 1 <= self.resize <= LARGEST_SIDE):
            raise PixelRulesError(f"resize is {self.resize!r}; a whole number from 1 to {LARGEST_SIDE} is needed")

    def __str__(self) -> str:
        """The stated ones in words, such as `bands 4,3,2, pixel_scale 0.0255`."""
        stated = [f"{name} {_text(value)}" for name, value in asdict(self).items() if value is not None]
        return ", ".join(stated) or "nothing stated"

    def to_json(self) -> dict[str, Any]:
        """The stated ones, and with `resize` how; for checkpoints and records of runs."""
        stated = {name: value for name, value in asdict(self).items() if value is not None}
        if self.bands is not None:
            stated["bands"] = list(self.bands)
        return stated | ({"resampling": RESAMPLING} if self.resize is not None else {})

    @classmethod
    def from_json(cls, value: Any) -> PixelRules:
        """The rules that `to_json` wrote.

        Raises
        ------
        PixelRulesError
            If it is something else, or names a resampling that is not ours.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(value, dict) or not value.keys() <= names | {"resampling"}:
            raise PixelRulesError(
                f"the rules of pixels are {value!r}; a mapping of {', '.join(sorted(names))} is needed"
            )
        if value.get("resampling", RESAMPLING) != RESAMPLING:
            raise PixelRulesError(f"images were resampled by {value['resampling']!r}; {RESAMPLING} is known here")
        stated = {name: value[name] for name in names if name in value}
        if isinstance(bands := stated.get("bands"), list):
            stated["bands"] = tuple(bands)
        return cls(**stated)

    def to_text(self) -> str:
        """`to_json` as one line of JSON."""
        return json.dumps(self.to_json())

    @classmethod
    def from_text(cls, text: str) -> PixelRules:
        """The rules that `to_text` wrote; raises PixelRulesError for anything else."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise PixelRulesError(f"the rules of pixels are {text!r}; JSON is needed") from error
        return cls.from_json(value)

    def agreed_with(self, recorded: PixelRules, owner: str) -> PixelRules:
        """These rules, and where they say nothing those that were recorded with a model, `owner`.

        Raises
        ------
        PixelRulesError
            If both say something, and not the same.
        """
        for field in fields(self):
            stated, known = getattr(self, field.name), getattr(recorded, field.name)
            if None not in (stated, known) and stated != known:
                raise PixelRulesError(
                    f"{field.name} {_text(stated)} is stated, but {owner} was trained with {field.name} {_text(known)};"
                    " leave it out or state the same"
                )
        return self.filled_from(recorded)

    def filled_from(self, recorded: PixelRules) -> PixelRules:
        """These rules, and where they say nothing the recorded ones."""
        unstated = {f.name: getattr(recorded, f.name) for f in fields(self) if getattr(self, f.name) is None}
        return replace(self, **unstated)


AS_DECLARED = PixelRules()


def parse_bands(text: str) -> tuple[int, ...] | None:
    """Bands from a text such as "4,3,2" or "1"; None of an empty one.

    Raises
    ------
    PixelRulesError
        If it is no such list.
    """
    if not text.strip():
        return None
    try:
        bands = tuple(int(part) for part in text.split(","))
    except ValueError:
        bands = ()
    if not bands:
        raise PixelRulesError(f"bands is {text!r}; numbers with commas between them, such as 4,3,2, are needed")
    return PixelRules(bands).bands


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
