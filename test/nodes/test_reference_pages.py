"""The reference pages in docs/ say what the code does."""

from pathlib import Path

import pytest

from satllm_ros.nodes import reference
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.parameters import statements

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("topics", reference.topics_page),
        ("parameters", reference.parameters_page),
        ("diagnostics", reference.diagnostics_page),
    ],
)
def test_the_page_is_the_one_the_tables_make(name: str, page: Path) -> None:
    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == page(), (
        "after `make setup`, run in build/ `../.venv/bin/python -m satllm_ros.nodes.reference ../docs`"
    )


@pytest.mark.parametrize("node", reference.NODES.values())
def test_every_default_is_allowed_by_its_own_range(node: type[FlightNode]) -> None:
    for parameter in statements(node.PARAMETERS).values():
        assert parameter.taken(parameter.default) == parameter.default
