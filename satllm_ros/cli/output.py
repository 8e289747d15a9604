"""Where a long computation is to write, looked at before it begins."""

from pathlib import Path


def check_output(path: Path) -> None:
    """Raise FileNotFoundError, naming the folder, if a file cannot be written for want of one."""
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")
