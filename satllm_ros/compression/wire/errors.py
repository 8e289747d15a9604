"""What can go wrong between an activation and its frame."""

from enum import Enum


class CodecSettingError(ValueError):
    """A codec setting that no codec offers."""


class ArtefactError(ValueError):
    """Artefacts that are damaged, of another model, or lack what was asked of them."""


class EncodeError(ValueError):
    """An activation that cannot be put into a frame."""


class FrameFault(str, Enum):
    """Why a frame was rejected; the value is the name of its counter."""

    LENGTH = "length"
    """Shorter than any frame, or not as long as it says."""
    MAGIC = "magic"
    """Not one of our frames."""
    VERSION = "version"
    """A version of the frame format this decoder does not know."""
    CHECKSUM = "checksum"
    """The CRC-32 does not match."""
    CODEC = "codec"
    """A codec this decoder does not know."""
    DTYPE = "dtype"
    """An element type this decoder does not know."""
    FLAGS = "flags"
    """A flag or reserved field this decoder does not know."""
    SETTING = "setting"
    """A keep ratio or a width that the codec does not offer."""
    SHAPE = "shape"
    """A shape with a zero, or one that does not fit the model."""
    TOO_LARGE = "too_large"
    """More elements than the receiver allows."""
    SECTIONS = "sections"
    """Lengths of the prefix section and of the chunks that do not add up."""
    ARTEFACT = "artefact"
    """Made with other artefacts than the receiver's."""
    CUT = "cut"
    """Cut 0, or one for which the receiver has no scales."""
    PAYLOAD = "payload"
    """A prefix section or chunk that does not hold what the header declares."""
    NOT_FINITE = "not_finite"
    """A NaN or an infinity among plain values."""


class FrameError(ValueError):
    """A frame that must not be trusted.

    Attributes
    ----------
    fault : FrameFault
        The cause, for counting.
    """

    def __init__(self, fault: FrameFault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault
