"""Which timm models can be split, by name."""

from fnmatch import fnmatchcase

from satllm_ros.model.errors import ModelError

FAMILIES = ("vit_*", "deit*", "vit_*_dinov2", "eva02_*", "beit*")


def check_family(architecture: str) -> None:
    """Refuse a model outside the supported families.

    Parameters
    ----------
    architecture
        timm's name of the model, with or without a pretrained tag.

    Raises
    ------
    ModelError
        If the name is of no supported family; the message lists the families.
    """
    if not any(fnmatchcase(architecture, family) for family in FAMILIES):
        raise ModelError(f"model {architecture!r} cannot be split; supported timm families are {', '.join(FAMILIES)}")
