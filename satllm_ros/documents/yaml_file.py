"""YAML that holds a mapping, whose fields `Section` looks at. Apart from it: who reads JSON needs no YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from satllm_ros.documents.section import DocumentError


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a file holds.

    Raises
    ------
    DocumentError
        If it is no YAML, or no mapping.
    OSError
        If it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path} is not YAML: {error}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """The mapping that a text holds; `name` is what complaints call it.

    Raises
    ------
    DocumentError
        If it is no YAML, or no mapping.
    """
    try:
        content = yaml.safe_load(text)
    except RecursionError:
        raise DocumentError(f"{name} is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        # A date that is none, or an integer of thousands of digits, is a ValueError.
        raise DocumentError(f"{name} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise DocumentError(f"{name} is {type(content).__name__}; a mapping is needed")
    return content
