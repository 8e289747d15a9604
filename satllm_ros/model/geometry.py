"""The sizes of a model that planning and framing need, as a checkpoint's metadata state them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from satllm_ros.model.errors import ModelError


@dataclass(frozen=True)
class Geometry:
    """Blocks L, tokens S (prefix tokens included), prefix tokens, width D, and the input size [pixels]."""

    blocks: int
    tokens: int
    prefix_tokens: int
    width: int
    image_height: int
    image_width: int

    def to_metadata(self) -> dict[str, str]:
        """The sizes as text, by name."""
        return {name: str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Geometry | None":
        """The sizes in a checkpoint's metadata, or None if any is absent.

        Raises
        ------
        ModelError
            If one is not a whole number of at least 1 (0 for prefix_tokens).
        """
        names = [field.name for field in fields(cls)]
        if any(name not in metadata for name in names):
            return None
        values: dict[str, int] = {}
        for name in names:
            least = 0 if name == "prefix_tokens" else 1
            if not metadata[name].isdecimal() or int(metadata[name]) < least:
                raise ModelError(f"metadata {name} is {metadata[name]!r}, expected a whole number of at least {least}")
            values[name] = int(metadata[name])
        return cls(**values)
