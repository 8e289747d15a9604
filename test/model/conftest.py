"""Checkpoints of tiny models, made as tests need them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_models import MEMBERS, save_member


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Save the named tiny model, with arguments changed as given, and return its checkpoint."""

    def save_here(member: str, **arguments: Any) -> Path:
        return save_member(tmp_path, member, **arguments)

    return save_here


@pytest.fixture(scope="session", params=MEMBERS)
def member_checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of each tiny model in turn."""
    return save_member(tmp_path_factory.mktemp("models"), request.param)


@pytest.fixture(scope="session")
def vit_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of the plain tiny vit."""
    return save_member(tmp_path_factory.mktemp("vit"), "vit")
