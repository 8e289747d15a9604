"""A folder of image files."""

from pathlib import Path

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".tif", ".tiff")


class FolderError(ValueError):
    """A folder that is missing or holds no images."""


def image_files(folder: Path) -> list[Path]:
    """Image files directly in an existing folder, sorted by name; hidden files are left out."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_EXTENSIONS and not file.name.startswith(".") and file.is_file()
    )


def read_folder(path: Path | str) -> list[Path]:
    """Image files directly in a folder, sorted by name.

    Raises
    ------
    FolderError
        If the path is no folder or holds no image file; the message names the extensions allowed.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder" if folder.exists() else f"folder {folder} does not exist")
    files = image_files(folder)
    if not files:
        raise FolderError(f"folder {folder} holds no image; allowed are {', '.join(IMAGE_EXTENSIONS)}")
    return files
