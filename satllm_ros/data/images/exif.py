"""The orientation in an EXIF block."""

from PIL import Image

_ORIENTATION = 0x0112


def exif_orientation(block: bytes | None) -> int:
    """How a picture is to be turned, 1 to 8; 1, not at all, where the block is damaged or says nothing."""
    if not block:
        return 1
    exif = Image.Exif()
    try:
        exif.load(block)
        orientation = exif.get(_ORIENTATION)
    # Pillow stumbles over damaged blocks in many ways; what they were to say is not known.
    except Exception:  # noqa: BLE001
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
