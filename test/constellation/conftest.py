from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from satllm_ros.constellation.file import Constellation, load_constellation

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "constellation.yaml"


@pytest.fixture(scope="session")
def shipped_path() -> Path:
    return SHIPPED


@pytest.fixture
def shipped() -> dict[str, Any]:
    """Content of the shipped constellation file."""
    return yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Constellation]:
    """Load a document as if it were a file."""

    def load_document(document: Any, **arguments: Any) -> Constellation:
        path = tmp_path / "mine.yaml"
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
        return load_constellation(path, **arguments)

    return load_document
