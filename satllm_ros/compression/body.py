"""What a codec puts between the header and the CRC-32 of a frame."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Body:
    """Sections of one frame.

    Attributes
    ----------
    prefix
        Class and register tokens of all images.
    chunks
        Patch tokens, one independently decodable chunk per image.
    replaced
        How many NaN or infinite values of the activation stand in it as something finite.
    """

    prefix: bytes
    chunks: list[bytes]
    replaced: int
