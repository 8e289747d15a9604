"""Where the files shipped inside the package are: the demo checkpoint, its codec artefacts, the demo bag."""

from pathlib import Path


def asset(name: str) -> Path:
    """Path of a shipped file or folder.

    Raises
    ------
    FileNotFoundError
        If the package ships nothing of that name; the message lists what it ships.
    """
    root = Path(__file__).parent
    path = root / name
    if not path.exists():
        shipped = ", ".join(sorted(p.name for p in root.iterdir() if p.suffix != ".py" and p.name[0] != "_"))
        raise FileNotFoundError(f"no asset {name!r} in this package; it ships {shipped}")
    return path


DEMO_CHECKPOINT = "eurosat_vit_tiny_p8_64.safetensors"
DEMO_ARTEFACTS = "eurosat_vit_tiny_p8_64.codec.safetensors"
DEMO_BAG = "eurosat_500"
DEMO = "demo"


def checkpoint_path(parameter: str) -> Path:
    """Path of a checkpoint; 'demo' is the one shipped here."""
    return asset(DEMO_CHECKPOINT) if parameter == DEMO else Path(parameter)


def artefacts_path(parameter: str) -> Path:
    """Path of codec artefacts; 'demo' are the ones shipped here."""
    return asset(DEMO_ARTEFACTS) if parameter == DEMO else Path(parameter)


def bag_path(parameter: str) -> Path:
    """Path of a bag; 'demo' is the one shipped here."""
    return asset(DEMO_BAG) if parameter == DEMO else Path(parameter)
